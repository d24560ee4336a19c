// Anthropic's own client, unmodified, in everything that programs do with it.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import Anthropic from '@anthropic-ai/sdk';

import { asking, base, digest, key, model, newName, received, throughGateway } from './stage.mjs';

const client = new Anthropic({ baseURL: base, apiKey: key });
const once = { maxRetries: 0 };

test('create', async () => {
  const message = await client.messages.create(asking('text=2 input=849 output=47'));
  assert.equal(message.content[0].text, 'word 0 word 1 ');
  assert.equal(message.stop_reason, 'end_turn');
  assert.equal(message.usage.input_tokens, 849);
  assert.equal(message.usage.output_tokens, 47);
  const request = await received(message._request_id);
  assert.equal(request.target, '/v1/messages');
  assert.equal(request.headers['anthropic-version'], '2026-10-21');
  assert.ok(request.headers['x-stainless-lang']);
  if (throughGateway) assert.ok(!JSON.stringify(request).includes(key), 'our credential went upstream');
});

test('a prompt of five megabytes', async () => {
  const text = 'ä"\\\u2028 '.repeat(700_000);
  const message = await client.messages.create(asking('text=1', { system: text }));
  const request = await received(message._request_id);
  assert.equal(digest(JSON.parse(request.body).system), digest(text));
});

test('stream: every event, and the message that they come to', async () => {
  const stream = client.messages.stream(asking('text=5 thinking=2 input=849 start-output=10 output=47 deltas=3 pings=3'));
  const seen = [];
  let text = '';
  stream.on('text', (delta) => (text += delta));
  for await (const event of stream) seen.push(event.type);
  const message = await stream.finalMessage();
  assert.equal(seen[0], 'message_start');
  assert.equal(seen.at(-1), 'message_stop');
  assert.equal(seen.filter((type) => type === 'content_block_delta').length, 5 + 3);
  assert.equal(seen.filter((type) => type === 'message_delta').length, 3);
  assert.equal(text, 'word 0 word 1 word 2 word 3 word 4 ');
  assert.equal(await stream.finalText(), text);
  assert.equal(message.content[0].thinking, 'Thought 0. Thought 1. ');
  assert.equal(message.usage.input_tokens, 849);
  assert.equal(message.usage.output_tokens, 47);
});

for (const wire of ['split', 'crlf', 'nospace', 'crlf nospace comments split']) {
  test(`stream: ${wire}`, async () => {
    const message = await client.messages.stream(asking(`text=3 output=9 ${wire}`)).finalMessage();
    assert.equal(message.content[0].text, 'word 0 word 1 word 2 ');
    assert.equal(message.usage.output_tokens, 9);
  });
}

test('stream: events arrive when they are sent', async () => {
  const stream = await client.messages.create({ ...asking('text=1 silence=3000'), stream: true });
  let started = 0;
  let waited = 0;
  for await (const event of stream) {
    if (event.type === 'message_start') started = Date.now();
    if (event.type === 'content_block_start') waited = Date.now() - started;
  }
  assert.ok(waited > 1000, `the first event came ${waited} ms before the next, in place of 3000`);
});

test('stream: an error inside of it', async () => {
  await assert.rejects(client.messages.stream(asking('error-after=4')).finalMessage(), (error) => {
    assert.ok(error instanceof Anthropic.APIError);
    assert.equal(error.type, 'overloaded_error');
    return true;
  });
});

test('stream: one that breaks off is no message', async () => {
  await assert.rejects(client.messages.stream(asking('text=50 cut=1500'), once).finalMessage());
});

const tools = [{ name: 'get_weather', description: 'Weather', input_schema: { type: 'object', properties: { city: { type: 'string' } } } }];

test('tools: a call as it is streamed, and its result', async () => {
  const first = asking('text=1 tool', { tools });
  const called = await client.messages.stream(first).finalMessage();
  const use = called.content.find((block) => block.type === 'tool_use');
  assert.equal(called.stop_reason, 'tool_use');
  assert.equal(use.name, 'get_weather');
  assert.deepEqual(use.input, { city: 'Paris' });
  const result = { type: 'tool_result', tool_use_id: use.id, content: 'scenario: text=2' };
  const messages = [...first.messages, { role: 'assistant', content: called.content }, { role: 'user', content: [result] }];
  assert.equal((await client.messages.create({ ...first, messages })).content[0].text, 'word 0 word 1 ');
});

test('tools: the runner of the beta interface goes on by itself', async () => {
  const asked = [];
  const run = ({ city }) => (asked.push(city), 'scenario: text=2');
  const runnable = { type: 'custom', ...tools[0], run, parse: (input) => input };
  const last = await client.beta.messages.toolRunner(asking('text=0 tool', { tools: [runnable], betas: ['context-1m-2025-08-07'] }));
  assert.deepEqual(asked, ['Paris']);
  assert.equal(last.content[0].text, 'word 0 word 1 ');
  const request = await received(last._request_id);
  assert.ok(request.headers['anthropic-beta'].split(',').includes('context-1m-2025-08-07'));
});

test('count_tokens', async () => {
  const { messages } = asking('input=4711');
  assert.equal((await client.messages.countTokens({ model, messages })).input_tokens, 4711);
});

test('models: a list in pages, one of them, and one that is none', async () => {
  const ids = [];
  for await (const one of client.models.list({ limit: 2 })) ids.push(one.id);
  assert.equal(new Set(ids).size, 9);
  assert.equal((await client.models.list({ limit: 1000 })).data.length, 9);
  assert.equal((await client.models.retrieve('claude-opus-4-5')).id, 'claude-opus-4-5-20251101');
  await assert.rejects(client.models.retrieve('claude-none'), Anthropic.NotFoundError);
});

const classes = [
  [400, Anthropic.BadRequestError, 'invalid_request_error'],
  [401, Anthropic.AuthenticationError, 'authentication_error'],
  [403, Anthropic.PermissionDeniedError, 'permission_error'],
  [404, Anthropic.NotFoundError, 'not_found_error'],
  [413, Anthropic.ContentTooLargeError, 'request_too_large'],
  [429, Anthropic.RateLimitError, 'rate_limit_error'],
  [500, Anthropic.InternalServerError, 'api_error'],
  [529, Anthropic.OverloadedError, 'overloaded_error'],
];
for (const [status, kind, type] of classes) {
  test(`error ${status}`, async () => {
    await assert.rejects(client.messages.create(asking(`status=${status} message=said-upstream`), once), (error) => {
      assert.ok(error instanceof kind, error.constructor.name);
      assert.equal(error.status, status);
      assert.equal(error.type, type);
      assert.equal(error.error.error.message, 'said-upstream');
      assert.equal(error.error.request_id, error.requestID);
      return true;
    });
    await client.messages.create(asking('text=1')); // no harm is done
  });
}

test('a wrong credential', async () => {
  const stranger = new Anthropic({ baseURL: base, apiKey: 'mxi_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', ...once });
  await assert.rejects(stranger.messages.create(asking('text=1')), Anthropic.AuthenticationError);
});

test('abort inside a stream', async () => {
  const stream = client.messages.stream(asking('text=10000 pause=20'));
  stream.on('text', () => stream.abort());
  await assert.rejects(stream.finalMessage(), Anthropic.APIUserAbortError);
  assert.equal((await client.messages.create(asking('text=1'))).content[0].text, 'word 0 ');
});

// How long a call took that is answered at the second attempt.
async function retried(words) {
  const started = Date.now();
  const message = await client.messages.create(asking(`${words} times=1 id=${newName()} text=1`));
  assert.equal((await received(message._request_id)).headers['x-stainless-retry-count'], '1');
  return Date.now() - started;
}

test('retries: an overload is asked again', () => retried('status=529'));
test('retries: after retry-after', async () => assert.ok((await retried('status=429 retry-after=1')) >= 990));
test('retries: after retry-after-ms', async () => {
  assert.ok((await retried('status=429 retry-after=30 retry-after-ms=1200')) >= 1190);
});
test('retries: x-should-retry: true, also of what is not retried otherwise', () => retried('status=400 x-should-retry=true'));
test('retries: x-should-retry: false', async () => {
  await assert.rejects(client.messages.create(asking(`status=529 x-should-retry=false times=1 id=${newName()}`)), { status: 529 });
  await client.messages.create(asking('text=1'));
});

test('timeouts: of an answer that does not come', async () => {
  await assert.rejects(client.messages.create(asking('first=20000'), { timeout: 300, ...once }), Anthropic.APIConnectionTimeoutError);
});

test('thirty calls at once, half of them streams', async () => {
  const calls = Array.from({ length: 30 }, async (_, i) => {
    const asked = asking(`text=${i + 1} output=${i + 1} pause=${i % 3 === 0 ? 20 : 0}`);
    const message = i % 2 === 0 ? await client.messages.create(asked) : await client.messages.stream(asked).finalMessage();
    assert.equal(message.usage.output_tokens, i + 1);
    assert.ok(message.content[0].text.endsWith(`word ${i} `));
  });
  await Promise.all(calls);
});
