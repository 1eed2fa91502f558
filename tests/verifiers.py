"""Deliveries judged by others' code: the ``standardwebhooks`` packages of PyPI and npm as they are,
and the scheme of ours in the few lines that a merchant would write.
"""

from __future__ import annotations

import hmac
import json
import subprocess
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from standardwebhooks import Webhook, WebhookVerificationError

REPOSITORY = Path(__file__).parent.parent

# One line of answers for all samples: starting Node costs more than all of them.
_JAVASCRIPT = """
const { Webhook } = require("standardwebhooks");
const { createHmac } = require("node:crypto");
const samples = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const answers = samples.map(({ body, headers, key }) => {
  const bytes = Buffer.from(body, "base64");
  let standard = true;
  try {
    const read = new Webhook("whsec_" + Buffer.from(key).toString("base64")).verify(
      bytes.toString("utf8"), headers);
    standard = read.eventId === headers["webhook-id"];
  } catch (error) {
    if (error.name !== "WebhookVerificationError") throw error;
    standard = false;
  }
  const mac = createHmac("sha256", key).update(headers["x-gstable-timestamp"] + ":").update(bytes);
  return [standard, mac.digest("hex") === headers["x-gstable-signature"]];
});
console.log(JSON.stringify(answers));
"""


@dataclass(frozen=True)
class Sample:
    """What arrived, and the ``wkk_…`` key that its receiver has; header names in lower case."""

    body: bytes
    headers: Mapping[str, str]
    key: str


@dataclass(frozen=True)
class Verdict:
    """Whether each scheme's signature is right for the receiver's key."""

    standard: bool
    gstable: bool


BOTH = Verdict(standard=True, gstable=True)
STANDARD_ONLY = Verdict(standard=True, gstable=False)


def by_python(samples: Sequence[Sample]) -> list[Verdict]:
    """With ``standardwebhooks`` of PyPI."""
    return [Verdict(_standard(sample), _gstable(sample)) for sample in samples]


def _standard(sample: Sample) -> bool:
    secret = "whsec_" + b64encode(sample.key.encode()).decode()
    try:
        read = Webhook(secret).verify(sample.body, dict(sample.headers))
    except WebhookVerificationError:
        return False
    return bool(read["eventId"] == sample.headers["webhook-id"])


def _gstable(sample: Sample) -> bool:
    signed = sample.headers["x-gstable-timestamp"].encode() + b":" + sample.body
    mac = hmac.new(sample.key.encode(), signed, sha256).hexdigest()
    return mac == sample.headers["x-gstable-signature"]


def by_javascript(samples: Sequence[Sample]) -> list[Verdict]:
    """With ``standardwebhooks`` of npm, all in one process of Node."""
    asked = [
        {
            "body": b64encode(sample.body).decode(),
            "headers": dict(sample.headers),
            "key": sample.key,
        }
        for sample in samples
    ]
    done = subprocess.run(
        ["node", "-e", _JAVASCRIPT],
        cwd=REPOSITORY,
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [Verdict(standard, gstable) for standard, gstable in json.loads(done.stdout)]
