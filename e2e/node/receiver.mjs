// An application behind dlrloop: an HTTP server that verifies each delivery, with standardwebhooks at /events and with
// Sinch's own client at /sinch. It prints its port, then one line of JSON for each accepted delivery: {path, body}. A
// delivery that does not verify is answered 401 and printed as {path, error}. It ends when standard input ends.
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { SmsCallbackWebhooks } from '@sinch/sms';
import { Webhook } from 'standardwebhooks';

const { EVENT_SECRET, WEBHOOK_SECRET } = process.env;
const events = new Webhook(EVENT_SECRET);
const sinch = new SmsCallbackWebhooks(WEBHOOK_SECRET);

const verify = {
  '/events': (body, headers) => events.verify(body, headers),
  '/sinch': (body, headers) => {
    if (!sinch.validateAuthenticationHeader(headers, body)) throw new Error('invalid signature');
    return sinch.parseEvent(body);
  },
};

const server = createServer(async (request, response) => {
  const line = { path: request.url };
  try {
    line.body = verify[request.url](await text(request), request.headers);
    response.writeHead(204).end();
  } catch (error) {
    line.error = String(error);
    response.writeHead(401).end();
  }
  console.log(JSON.stringify(line));
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', () => process.exit()).resume();
