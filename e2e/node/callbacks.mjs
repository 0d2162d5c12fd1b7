// Reads callbacks with Sinch's own client: from the standard input a JSON array of {headers, body} as they came, to the standard
// output the parsed callbacks as lines of JSON. A signature that does not verify ends it with exit status 1.
import assert from 'node:assert/strict';
import { text } from 'node:stream/consumers';
import { SmsCallbackWebhooks } from '@sinch/sms';

const { WEBHOOK_SECRET } = process.env;
const webhook = new SmsCallbackWebhooks(WEBHOOK_SECRET);
const stranger = new SmsCallbackWebhooks(`${WEBHOOK_SECRET}x`);

for (const { headers, body } of JSON.parse(await text(process.stdin))) {
  assert.ok(webhook.validateAuthenticationHeader(headers, body), `a signature that does not verify: ${body}`);
  assert.ok(!stranger.validateAuthenticationHeader(headers, body), 'a signature that verifies with another secret');
  const callback = webhook.parseEvent(body);
  for (const date of ['at', 'operator_status_at', 'received_at', 'sent_at']) {
    assert.ok(!Number.isNaN(callback[date]?.getTime()) || callback[date] === undefined, `${date}: ${body}`);
  }
  console.log(JSON.stringify(callback));
}
