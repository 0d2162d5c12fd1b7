// What the other files are told in: steps, each a line of JSON on the standard output. The first surprise ends the run with
// its cause on the standard error and exit status 1. The API is at SMS_HOSTNAME and takes SERVICE_PLAN_ID and API_TOKEN.
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { RequestFailedError } from '@sinch/sdk-client';
import { SinchClient } from '@sinch/sdk-core';

const { SMS_HOSTNAME: smsHostname, SERVICE_PLAN_ID: servicePlanId, API_TOKEN } = process.env;

let answered; // the status of the last answer that was a success

// statusOfAnswer is a plugin that listens for what the client does not tell: which 2xx it was.
const statusOfAnswer = {
  getName: () => 'status-of-answer',
  load: (context) => ({
    transform: (answer) => {
      answered = context.response.status;
      return answer;
    },
  }),
};

// connect is Sinch's client, for SMS.
export function connect(apiToken = API_TOKEN) {
  return new SinchClient({ servicePlanId, apiToken, smsHostname, responsePlugins: [statusOfAnswer] }).sms;
}

// step makes a call, requires its status, has check look at what the client made of the answer, and prints and returns that.
export async function step(operation, status, call, check) {
  answered = undefined;
  try {
    const result = await call();
    assert.equal(answered, status, 'status');
    check(result);
    console.log(JSON.stringify({ operation, status, result }));
    return result;
  } catch (cause) {
    throw new Error(operation, { cause });
  }
}

// refused makes a call that must fail with this status and code ('' for none), in the client's own error.
export async function refused(operation, status, code, call) {
  try {
    const error = await call().then((result) => assert.fail(`accepted: ${JSON.stringify(result)}`), (e) => e);
    assert.equal(error.constructor, RequestFailedError, error.stack);
    assert.equal(error.statusCode, status);
    const result = JSON.parse(error.data);
    assert.equal(result.code ?? '', code);
    console.log(JSON.stringify({ operation, status, result }));
  } catch (cause) {
    throw new Error(operation, { cause });
  }
}

const patience = 60_000;

// until calls again and again until the answer is done.
export async function until(what, call, done) {
  for (const limit = Date.now() + patience; ;) {
    const answer = await call();
    if (done(answer)) return answer;
    assert.ok(Date.now() < limit, `not ${what} after ${patience} ms: ${JSON.stringify(answer)}`);
    await pause(20);
  }
}

// all reads a listing to its end; the client asks for page after page.
export async function all(list) {
  const found = [];
  for await (const entry of list) assert.ok(found.push(entry) < 100, 'pages without end');
  return found;
}
