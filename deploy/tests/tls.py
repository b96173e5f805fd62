#!/usr/bin/env python3
"""tls.py HOST:PORT: fails when testssl (Debian's package testssl.sh) finds anything of severity medium or worse.

What is left out is of the certificate itself, which is one of our own making here and somebody else's in production.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

GRAVE = {"MEDIUM", "HIGH", "CRITICAL"}
OF_THE_CERTIFICATE = ("cert_", "OCSP", "DNS_CAArecord")


def main():
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report.json"
        command = ["testssl", "--quiet", "--color", "0", "--warnings", "off", "--ip", "one", "--jsonfile", report, f"https://{sys.argv[1]}"]
        subprocess.run(command, stdout=subprocess.DEVNULL, timeout=900, check=False)
        findings = json.loads(report.read_text())
    grave = [one for one in findings if one["severity"] in GRAVE and not one["id"].startswith(OF_THE_CERTIFICATE)]
    for one in grave:
        print(one["severity"], one["id"], one["finding"])
    print(f"{len(findings)} findings, {len(grave)} of them medium or worse")
    # One that looked at nothing found nothing.
    return bool(grave) or len(findings) < 100


sys.exit(main())
