"""Real deliveries, and tampered ones, before the verifier from PyPI."""
import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

OTHER = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
cases = json.load(open(sys.argv[1]))
for case in cases:
    secret, headers, body = case["secret"], case["headers"], case["body"]
    assert Webhook(secret).verify(body, headers) == json.loads(body), case["name"]
    late = str(int(headers["webhook-timestamp"]) - 600)
    tampered = {
        "body": (secret, headers, body.replace('"type"', '"Type"', 1)),
        "blank": (secret, headers, body + " "),
        "id": (secret, headers | {"webhook-id": "other"}, body),
        "timestamp": (secret, headers | {"webhook-timestamp": late}, body),
        "secret": (OTHER, headers, body),
        "signature": (secret, headers | {"webhook-signature": "v1,AAAA"}, body),
        "version": (secret, headers | {"webhook-signature": headers["webhook-signature"].replace("v1,", "v2,")}, body),
        "no id": (secret, {name: value for name, value in headers.items() if name != "webhook-id"}, body),
    }
    for name, (secret, headers, body) in tampered.items():
        try:
            Webhook(secret).verify(body, headers)
        except WebhookVerificationError:
            continue
        sys.exit(f"{case['name']}: taken in spite of a wrong {name}")
assert len(cases) >= 3
print(f"PyPI standardwebhooks: {len(cases)} deliveries verified, {len(cases) * len(tampered)} tampered ones refused")
