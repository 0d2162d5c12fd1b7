// Common code of the scripts. Each step prints a line of JSON to standard output. The first failure ends the script
// with exit status 1 and its cause on standard error. SMS_HOSTNAME, SERVICE_PLAN_ID and API_TOKEN describe the API.
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { RequestFailedError } from '@sinch/sdk-client';
import { SinchClient } from '@sinch/sdk-core';

const { SMS_HOSTNAME: smsHostname, SERVICE_PLAN_ID: servicePlanId, API_TOKEN } = process.env;

let answered; // status of the last successful answer

// statusOfAnswer is a plugin that records the exact 2xx status, which the client does not return.
const statusOfAnswer = {
  getName: () => 'status-of-answer',
  load: (context) => ({
    transform: (answer) => {
      answered = context.response.status;
      return answer;
    },
  }),
};

// connect returns Sinch's client for SMS.
export function connect(apiToken = API_TOKEN) {
  return new SinchClient({ servicePlanId, apiToken, smsHostname, responsePlugins: [statusOfAnswer] }).sms;
}

// step makes a call, checks its status, passes the client's result to check, and prints and returns the result.
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

// refused makes a call that must fail with the client's own error, this status and this code ('' for none).
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

const maxWait = 60_000;

// until repeats a call until done accepts the answer.
export async function until(what, call, done) {
  for (const limit = Date.now() + maxWait; ;) {
    const answer = await call();
    if (done(answer)) return answer;
    assert.ok(Date.now() < limit, `not ${what} after ${maxWait} ms: ${JSON.stringify(answer)}`);
    await pause(20);
  }
}

// all reads a whole list; the client requests page after page.
export async function all(list) {
  const found = [];
  for await (const entry of list) assert.ok(found.push(entry) < 100, 'the list must end');
  return found;
}
