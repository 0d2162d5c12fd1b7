// Calls an SMS API with Sinch's own, unchanged client: the eight batch operations, the three ways to read delivery
// reports, and calls that must fail. The API must deliver every message within a minute. steps.mjs describes the
// output.
import assert from 'node:assert/strict';
import { all, connect, refused, step, until } from './steps.mjs';

const { CALLBACK_URL: callback_url } = process.env;
const { batches, deliveryReports } = connect();

const minutesAhead = (minutes) => new Date(Date.now() + minutes * 60_000);

const run = Date.now();
const from = '12025550100';
const to = ['+447700900133', '00447700900166', '+44 (7700) 900-199'];
const normalised = ['447700900133', '447700900166', '447700900199'];

// isBatch compares an answer with its request: numbers are normalised, dates are Date objects, all else is equal.
function isBatch(batch, request, type) {
  const { id, created_at, modified_at, expire_at, flash_message = false, ...answered } = batch;
  for (const date of [created_at, modified_at, expire_at]) assert.ok(date instanceof Date, `${date} is not a Date`);
  assert.ok(id && modified_at >= created_at && expire_at > created_at);
  const { expire_at: expires = expire_at, flash_message: flash = false, ...rest } = request;
  assert.deepEqual({ ...answered, expire_at, flash_message }, {
    type, canceled: false, delivery_report: 'none', ...rest, to: normalised, expire_at: expires, flash_message: flash,
  });
}

// Sending.
const text = {
  from, to, body: 'Hello ${name}!', parameters: { name: { '+447700900133': 'Ann', default: 'you' } },
  delivery_report: 'per_recipient', callback_url, client_reference: `text-${run}`, feedback_enabled: true, flash_message: true,
};
const sentText = await step('send text', 201, () => batches.sendTextMessage({ sendSMSRequestBody: text }), (b) => {
  isBatch(b, text, 'mt_text');
});
const binary = {
  from, to, body: Buffer.from('binary').toString('base64'), udh: '06050423F423F4',
  delivery_report: 'full', callback_url, client_reference: `binary-${run}`, feedback_enabled: true,
};
const sentBinary = await step('send binary', 201, () => batches.sendBinaryMessage({ sendSMSRequestBody: binary }), (b) => {
  isBatch(b, binary, 'mt_binary');
});
const media = {
  from, to, body: { url: 'https://example.com/picture.jpg', message: 'A picture', subject: 'Look' },
  delivery_report: 'summary', callback_url, client_reference: `media-${run}`, strict_validation: true,
};
const sentMedia = await step('send media', 201, () => batches.sendMediaMessage({ sendSMSRequestBody: media }), (b) => {
  isBatch(b, media, 'mt_media');
});

// Dry run, without and with a list of recipients.
const { name } = text.parameters;
await step('dry run', 200, () => batches.dryRun({ dryRunRequestBody: { ...text, body: 'x'.repeat(161) } }), (r) => {
  assert.equal(r.number_of_recipients, 3);
  assert.equal(r.number_of_messages, 6);
  assert.deepEqual(r.per_recipient ?? [], []);
});
await step('dry run of each recipient', 200, () => {
  return batches.dryRun({ per_recipient: true, number_of_recipients: 2, dryRunRequestBody: { ...text, body: '${name} 你好' } });
}, (r) => {
  assert.equal(r.number_of_recipients, 3);
  assert.equal(r.number_of_messages, 3);
  const of = (recipient) => ({ recipient, number_of_parts: 1, body: `${name[`+${recipient}`] ?? name.default} 你好`, encoding: 'unicode' });
  assert.deepEqual(r.per_recipient, normalised.slice(0, 2).map(of));
});

// Reading and changing a batch that is not dispatched: get must return the same as each answer.
const get = (batch_id) => batches.get({ batch_id });
await step('get', 200, () => get(sentText.id), (b) => assert.deepEqual(b, sentText));

const scheduled = { ...text, send_at: minutesAhead(60), expire_at: minutesAhead(90), client_reference: `scheduled-${run}` };
const sentLater = await step('send later', 201, () => batches.send({ sendSMSRequestBody: scheduled }), (b) => {
  isBatch(b, scheduled, 'mt_text');
});
const batch_id = sentLater.id;
const change = { type: 'mt_text', to_add: ['+447700900144'], to_remove: ['+447700900166'], body: 'Bye ${name}!' };
const updated = await step('update', 200, () => batches.update({ batch_id, updateBatchMessageRequestBody: change }), (b) => {
  const { modified_at, to, ...rest } = b;
  assert.ok(modified_at >= sentLater.modified_at);
  assert.deepEqual([...to].sort(), ['447700900133', '447700900144', '447700900199']);
  const { modified_at: _, to: __, ...before } = sentLater;
  assert.deepEqual(rest, { ...before, body: change.body });
});
assert.deepEqual(await get(batch_id), updated);
const replacement = { type: 'mt_text', from, to, body: 'Anew', send_at: minutesAhead(70) };
const replaced = await step('replace', 200, () => batches.replace({ batch_id, replaceBatchMessageRequestBody: replacement }), (b) => {
  // Members that are not in the request have their defaults, delivery_report and feedback_enabled too.
  isBatch(b, replacement, 'mt_text');
  assert.equal(b.id, batch_id);
  assert.deepEqual(b.created_at, sentLater.created_at);
  assert.ok(b.modified_at >= updated.modified_at);
});
assert.deepEqual(await get(batch_id), replaced);

await step('cancel', 200, () => batches.cancel({ batch_id }), (b) => {
  assert.deepEqual(b, { ...replaced, canceled: true, modified_at: b.modified_at });
});
await step('report of a canceled batch', 200, () => deliveryReports.get({ batch_id }), (r) => {
  assert.equal(r.batch_id, batch_id);
  assert.deepEqual(r.statuses, []);
});

// Listing 31 batches, one more than Sinch's default page: the client pages by itself, or the script does.
const client_reference = `listed-${run}`;
const listed = [];
for (let i = 0; i < 31; i++) {
  listed.unshift(await batches.send({ sendSMSRequestBody: { from, to: ['447700900133'], body: `Number ${i}`, client_reference } }));
}
await step('list', 200, () => all(batches.list({ client_reference })), (found) => assert.deepEqual(found, listed));
const window = { start_date: listed.at(-1).created_at, end_date: minutesAhead(1), from: `+${from},54321`, page_size: 12 };
await step('list page by page', 200, async () => {
  const pages = [];
  for (let page = await batches.list({ client_reference, ...window }); ; page = await page.nextPage()) {
    assert.ok(pages.push(page.data) < 100, 'the list must end');
    if (!page.hasNextPage) return pages;
  }
}, (pages) => {
  assert.deepEqual(pages.map((page) => page.length), [12, 12, 7]);
  assert.deepEqual(pages.flat(), listed);
});
await step('list nothing', 200, () => batches.list({ client_reference, end_date: listed.at(-1).created_at }), (page) => {
  assert.deepEqual(page.data, []);
  assert.equal(page.hasNextPage, false);
});

// Delivery reports, after all messages are delivered.
const delivered = (report) => report.statuses.every(({ status }) => status === 'Delivered');
const outcome = { code: 0, status: 'Delivered', count: 3 };
for (const [kind, sent, type] of [['text', sentText, 'sms'], ['binary', sentBinary, 'sms'], ['media', sentMedia, 'mms']]) {
  const expected = {
    type: `delivery_report_${type}`, batch_id: sent.id, client_reference: sent.client_reference, total_message_count: 3,
  };
  await until('delivered', () => deliveryReports.get({ batch_id: sent.id }), delivered);
  await step(`summary report of ${kind}`, 200, () => deliveryReports.get({ batch_id: sent.id }), (r) => {
    assert.deepEqual(r, { ...expected, statuses: [outcome] });
  });
  await step(`full report of ${kind}`, 200, () => {
    return deliveryReports.get({ batch_id: sent.id, type: 'full', status: ['Delivered', 'Failed'], code: [0, 60] });
  }, (r) => {
    r.statuses[0].recipients.sort();
    assert.deepEqual(r, { ...expected, statuses: [{ ...outcome, recipients: normalised }] });
  });
}
await step('report of failures', 200, () => deliveryReports.get({ batch_id: sentText.id, status: 'Failed' }), (r) => {
  assert.deepEqual(r.statuses, []);
});
const isRecipientReport = ({ at, operator_status_at, recipient, ...rest }, sent) => {
  assert.ok(at instanceof Date && at >= sent.created_at && operator_status_at instanceof Date);
  assert.deepEqual(rest, {
    type: 'recipient_delivery_report_sms', batch_id: sent.id, client_reference: sent.client_reference, code: 0, status: 'Delivered',
  });
  return recipient;
};
await step('report of a recipient', 200, () => deliveryReports.getForNumber({ batch_id: sentText.id, phone_number: to[0] }), (r) => {
  assert.equal(isRecipientReport(r, sentText), normalised[0]);
});
const finished = { client_reference: text.client_reference, page_size: 2, status: ['Delivered'], start_date: sentText.created_at };
await step('list of reports', 200, () => all(deliveryReports.list(finished)), (found) => {
  assert.deepEqual(found.map((r) => isRecipientReport(r, sentText)).sort(), normalised);
});

// Delivery feedback for one recipient, and [], which means all recipients.
const feedback = (batch, recipients) => batches.sendDeliveryFeedback({ batch_id: batch.id, deliveryFeedbackRequestBody: { recipients } });
await step('feedback', 202, () => feedback(sentText, [to[0]]), (r) => assert.deepEqual(r, {}));
await step('feedback for all recipients', 202, () => feedback(sentBinary, []), (r) => assert.deepEqual(r, {}));

// Calls that must fail.
const unknown = { batch_id: '01ARZ3NDEKTSV4RRFFQ69G5FAV' };
await refused('get an unknown batch', 404, '', () => batches.get(unknown));
await refused('update an unknown batch', 404, '', () => batches.update({ ...unknown, updateBatchMessageRequestBody: change }));
await refused('replace an unknown batch', 404, '', () => batches.replace({ ...unknown, replaceBatchMessageRequestBody: replacement }));
await refused('cancel an unknown batch', 404, '', () => batches.cancel(unknown));
await refused('report of an unknown batch', 404, '', () => deliveryReports.get(unknown));
await refused('report of an unknown recipient', 404, '', () => deliveryReports.getForNumber({ batch_id: sentText.id, phone_number: '+447700900123' }));
await refused('send without recipients', 400, 'syntax_constraint_violation', () => batches.send({ sendSMSRequestBody: { ...text, to: [] } }));
await refused('update a dispatched batch', 403, 'batch_already_dispatched', () => {
  return batches.update({ batch_id: sentText.id, updateBatchMessageRequestBody: change });
});
const wrongToken = connect('not-the-token');
await refused('send with a wrong token', 401, '', () => wrongToken.batches.send({ sendSMSRequestBody: text }));
await refused('get with a wrong token', 401, '', () => wrongToken.batches.get({ batch_id: sentText.id }));
