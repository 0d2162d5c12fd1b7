// Calls the group operations of an SMS API with Sinch's own client, and sends to a group. steps.mjs describes the
// output.
import assert from 'node:assert/strict';
import { all, connect, refused, step } from './steps.mjs';

const { batches, groups } = connect();

const name = 'friends';
const created = await step('create a group', 201, () => {
  return groups.create({ createGroupRequestBody: { name, members: ['+447700900133', '+447700900166'] } });
}, (g) => {
  assert.ok(g.id && g.created_at instanceof Date && g.modified_at instanceof Date);
  assert.equal(g.name, name);
  assert.equal(g.size, 2);
});
const group_id = created.id;
await step('get a group', 200, () => groups.get({ group_id }), (g) => assert.deepEqual(g, created));

const change = { name: 'colleagues', add: ['+447700900199'], remove: ['+447700900133'] };
await step('update a group', 200, () => groups.update({ group_id, updateGroupRequestBody: change }), (g) => {
  assert.deepEqual(g, { ...created, name: change.name, modified_at: g.modified_at });
});
await step('members of a group', 200, () => groups.listMembers({ group_id }), (members) => {
  assert.deepEqual(members, ['447700900166', '447700900199']);
});
await step('replace a group', 200, () => {
  return groups.replace({ group_id, replaceGroupRequestBody: { name, members: ['+447700900133'] } });
}, (g) => assert.deepEqual(g, { ...created, size: 1, modified_at: g.modified_at }));

const others = [];
for (let i = 0; i < 4; i++) others.push(await groups.create({ createGroupRequestBody: { name: `others ${i}` } }));
await step('list groups', 200, () => all(groups.list({ page_size: 2 })), (found) => {
  assert.deepEqual(found.map((g) => g.id).sort(), [created, ...others].map((g) => g.id).sort());
});
for (const { id } of others) await groups.delete({ group_id: id });

const message = { from: '12025550100', to: [group_id, '+447700900144'], body: 'Hello', feedback_enabled: true };
const sent = await step('send to a group', 201, () => batches.send({ sendSMSRequestBody: message }), (b) => {
  assert.deepEqual(b.to, [group_id, '447700900144']);
});
await step('dry run to a group', 200, () => batches.dryRun({ dryRunRequestBody: message }), (r) => {
  assert.equal(r.number_of_recipients, 2);
});
await refused('feedback for all recipients of a group', 400, 'syntax_constraint_violation', () => {
  return batches.sendDeliveryFeedback({ batch_id: sent.id, deliveryFeedbackRequestBody: { recipients: [] } });
});

await refused('create a group again', 403, 'conflict_group_name', () => groups.create({ createGroupRequestBody: { name } }));
await step('delete a group', 200, () => groups.delete({ group_id }), (r) => assert.deepEqual(r, {}));
await refused('get a deleted group', 404, '', () => groups.get({ group_id }));
await refused('send to a deleted group', 403, 'unknown_group', () => batches.send({ sendSMSRequestBody: message }));
