// Verifies and parses callbacks with Sinch's own client. Standard input is a JSON array of received {headers, body};
// standard output gets the parsed callbacks as lines of JSON. An invalid signature ends the script with exit status 1.
import assert from 'node:assert/strict';
import { text } from 'node:stream/consumers';
import { SmsCallbackWebhooks } from '@sinch/sms';

const { WEBHOOK_SECRET } = process.env;
const webhook = new SmsCallbackWebhooks(WEBHOOK_SECRET);
const wrongSecret = new SmsCallbackWebhooks(`${WEBHOOK_SECRET}x`);

for (const { headers, body } of JSON.parse(await text(process.stdin))) {
  assert.ok(webhook.validateAuthenticationHeader(headers, body), `invalid signature: ${body}`);
  assert.ok(!wrongSecret.validateAuthenticationHeader(headers, body), 'valid with a wrong secret');
  const callback = webhook.parseEvent(body);
  for (const date of ['at', 'operator_status_at', 'received_at', 'sent_at']) {
    assert.ok(!Number.isNaN(callback[date]?.getTime()) || callback[date] === undefined, `${date}: ${body}`);
  }
  console.log(JSON.stringify(callback));
}
