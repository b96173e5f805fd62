// Real deliveries, and tampered ones, before the verifier from npm.
const { readFileSync } = require("node:fs");
const { deepStrictEqual, ok, throws } = require("node:assert");
const { Webhook, WebhookVerificationError } = require("standardwebhooks");

const OTHER = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const cases = JSON.parse(readFileSync(process.argv[2], "utf8"));
let refused = 0;
for (const { name, secret, headers, body } of cases) {
  deepStrictEqual(new Webhook(secret).verify(body, headers), JSON.parse(body), name);
  const late = String(Number(headers["webhook-timestamp"]) - 600);
  const signature = headers["webhook-signature"].replaceAll("v1,", "v2,");
  const { "webhook-id": _, ...anonymous } = headers;
  for (const [key, tampered, text] of [
    [secret, headers, body.replace('"type"', '"Type"')],
    [secret, headers, `${body} `],
    [secret, { ...headers, "webhook-id": "other" }, body],
    [secret, { ...headers, "webhook-timestamp": late }, body],
    [OTHER, headers, body],
    [secret, { ...headers, "webhook-signature": "v1,AAAA" }, body],
    [secret, { ...headers, "webhook-signature": signature }, body],
    [secret, anonymous, body],
  ]) {
    throws(() => new Webhook(key).verify(text, tampered), WebhookVerificationError, name);
    refused += 1;
  }
}
ok(cases.length >= 3);
console.log(`npm standardwebhooks: ${cases.length} deliveries verified, ${refused} tampered ones refused`);
