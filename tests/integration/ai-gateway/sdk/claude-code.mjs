// What Claude Code asks of a gateway: "Claude Code gateway compatibility guide", code.claude.com/docs/en/llm-gateway-protocol.
// Each row: what is required, how it is tested, and the test.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { test } from 'node:test';

import { asking, base, digest, key, received, throughGateway } from './stage.mjs';

const betas = 'claude-code-20250219,context-1m-2025-08-07,interleaved-thinking-2025-05-14,context-management-2025-06-27,of-next-year-2027-01-01';
const session = '3f2b8c1e-0000-4000-8000-5c6d7e8f9a0b';
const usual = {
  authorization: `Bearer ${key}`,
  'anthropic-version': '2023-06-01',
  'anthropic-beta': betas,
  'content-type': 'application/json',
  'user-agent': 'claude-cli/2.1.332 (external, cli)',
  'x-app': 'cli',
  'x-claude-code-session-id': session,
  'x-claude-code-agent-id': 'agent-7',
  'x-claude-code-parent-agent-id': 'agent-1',
};

// What Claude Code posts, with what no JSON library would write again in the same way.
const body = (words, model = 'claude-haiku-5-5') =>
  `{ "model":"${model}","max_tokens" : 1000, "stream":true,\n\t"system":[{"type":"text","text":"x-anthropic-billing-header: ` +
  `cc_version=2.1.332; cch=0a1b2;"},{"type":"text","text":"You are Claude Code \\u00e4 ä","cache_control":{"type":"ephemeral","ttl":"1h"}}],` +
  `"thinking":{"type":"adaptive"},"context_management":{"edits":[{"type":"clear_tool_uses_20250919"}]},"output_config":{"effort":"high"},` +
  `"tools":[{"name":"Bash","strict":true,"defer_loading":true,"input_schema":{"type":"object","n":1.0e+0}}],"a_field_of_next_year":[1.50,-0.0],` +
  `"messages":[{"role":"user","content":[{"type":"text","text":"scenario: ${words}","cache_control":{"type":"ephemeral"}}]}]}  \n`;

// The answer as bytes come, so that nothing hides what the gateway does.
function ask(method, path, headers = usual, sent = undefined) {
  const url = new URL(base + path);
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  const request = send(url, { method, headers: { ...headers, ...(sent ? { 'content-length': Buffer.byteLength(sent) } : {}) } });
  request.end(sent);
  // A failure behind the head is for who reads the answer, also where it comes before that.
  request.on('error', () => undefined);
  return once(request, 'response').then(([answer]) => answer.on('error', () => undefined));
}

async function text(answer) {
  let out = '';
  for await (const piece of answer) out += piece;
  return out;
}

const post = (words, headers = usual, model = undefined) => ask('POST', '/v1/messages?beta=true', headers, body(words, model));

// What came when, of a stream.
async function timed(answer) {
  const out = [];
  for await (const piece of answer) out.push({ at: Date.now(), text: String(piece) });
  return { all: out.map((piece) => piece.text).join(''), when: (part) => out.find((piece) => piece.text.includes(part))?.at };
}

const rows = [
  ['inference posts to /v1/messages?beta=true: match the path, keep the query', 'the target that the upstream got', async () => {
    const answer = await post('text=1');
    assert.equal(answer.statusCode, 200);
    await text(answer);
    assert.equal((await received(answer.headers['request-id'])).target, '/v1/messages?beta=true');
  }],
  ['the body goes upstream unchanged: open list of fields, cache_control in blocks, system blocks in their order', 'digest of an odd body', async () => {
    const answer = await post('text=1');
    await text(answer);
    assert.equal(digest((await received(answer.headers['request-id'])).body), digest(body('text=1')));
  }],
  ['anthropic-version and anthropic-beta go upstream verbatim, and so does any other anthropic-* field', 'fields that the upstream got', async () => {
    const answer = await post('text=1', { ...usual, 'anthropic-of-next-year': 'yes', 'anthropic-workspace-id': 'wrkspc_1' });
    await text(answer);
    const { headers } = await received(answer.headers['request-id']);
    assert.equal(headers['anthropic-version'], '2023-06-01');
    assert.equal(headers['anthropic-beta'], betas);
    assert.equal(headers['anthropic-of-next-year'], 'yes');
    assert.equal(headers['anthropic-workspace-id'], 'wrkspc_1');
  }],
  ['the credential comes as Authorization, as x-api-key, or as both', 'one call each; upstream, none of them is ours', async () => {
    const { authorization, ...none } = usual;
    for (const how of [{ authorization }, { 'x-api-key': key }, { authorization, 'x-api-key': key }]) {
      const answer = await post('text=1', { ...none, ...how });
      assert.equal(answer.statusCode, 200, JSON.stringify(Object.keys(how)));
      await text(answer);
      const got = await received(answer.headers['request-id']);
      if (throughGateway) assert.ok(!JSON.stringify(got.all).includes(key), 'our credential went upstream');
    }
    const refused = await post('text=1', none);
    assert.equal(refused.statusCode, 401);
    assert.equal(JSON.parse(await text(refused)).error.type, 'authentication_error');
  }],
  ['token counting is optional, and does not consume inference', 'POST /v1/messages/count_tokens', async () => {
    const answer = await ask('POST', '/v1/messages/count_tokens?beta=true', usual, JSON.stringify(asking('input=4711')));
    assert.equal(answer.statusCode, 200);
    assert.equal(JSON.parse(await text(answer)).input_tokens, 4711);
  }],
  ['HEAD /api/hello may be refused without breaking anything', 'a whole answer at once, and a call afterwards', async () => {
    const answer = await ask('HEAD', '/api/hello', { 'user-agent': usual['user-agent'] });
    assert.ok(answer.statusCode >= 200 && answer.statusCode < 500, String(answer.statusCode));
    await text(answer);
    assert.equal((await post('text=1')).resume().statusCode, 200);
  }],
  ['events are relayed as they arrive', 'the start of a message comes long before the content that waits', async () => {
    const { when } = await timed(await post('text=1 silence=3000'));
    assert.ok(when('content_block_start') - when('message_start') > 1000);
  }],
  ['pings and comment lines are relayed, unbuffered: they keep the 300 s watchdog quiet', 'six pings 500 ms apart', async () => {
    const answer = await post('text=1 pings=6 comments pause=500');
    assert.match(answer.headers['content-type'], /^text\/event-stream/);
    const { all, when } = await timed(answer);
    assert.equal(all.match(/event: ping/g).length, 6);
    assert.ok(all.includes(': keep-alive\n'));
    assert.ok(when('content_block_start') - when('event: ping') > 1000);
  }],
  ['nothing of an answer is rewritten, not the first usage either', 'the stream, byte by byte', async () => {
    const answer = await post('text=2 thinking=1 input=849 start-output=10 output=47 unknown crlf');
    const got = await text(answer);
    const id = answer.headers['request-id'].slice(4);
    const start = `event: message_start\r\ndata: {"type":"message_start","message":{"id":"msg_${id}","type":"message","role":"assistant",` +
      `"model":"claude-haiku-5-5","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":849,`;
    assert.ok(got.startsWith(start), got.slice(0, 300));
    assert.ok(got.includes('"output_tokens":10}}}\r\n\r\n'));
    assert.ok(got.includes('event: vault_opened\r\ndata: {"type":"vault_opened","usage":{"output_tokens":1}}\r\n\r\n'));
    assert.ok(got.endsWith('event: message_stop\r\ndata: {"type":"message_stop"}\r\n\r\n'));
  }],
  ['error bodies are forwarded unmodified, with their status: recovery matches their wording', 'a 400 and one that is no JSON', async () => {
    const wording = 'thinking.type:-Input-tag-adaptive-found-using-type-does-not-match';
    const refused = await post(`status=400 message=${wording}`);
    assert.equal(refused.statusCode, 400);
    assert.equal(
      await text(refused),
      `{"type":"error","error":{"type":"invalid_request_error","message":"${wording}"},"request_id":"${refused.headers['request-id']}"}`,
    );
    const strange = await post('status=418 html');
    assert.equal(strange.statusCode, 418);
    assert.equal(await text(strange), '<html><body>418 cloudflare</body></html>');
    (await post('text=1')).resume();
  }],
  ['x-should-retry, retry-after and request-id come back as they are', 'a 429 and a 529', async () => {
    // A gateway leaves alone for that long what asked for it: each has a model of its own.
    for (const [status, model, fields] of [
      [429, 'claude-sonnet-5', { 'retry-after': '7', 'x-should-retry': 'true' }],
      [529, 'claude-opus-5', { 'retry-after-ms': '1500', 'x-should-retry': 'false' }],
    ]) {
      const words = Object.entries(fields).map(([name, value]) => `${name}=${value}`).join(' ');
      const answer = await post(`status=${status} ${words}`, usual, model);
      assert.equal(answer.statusCode, status);
      for (const [name, value] of Object.entries(fields)) assert.equal(answer.headers[name], value);
      assert.equal(JSON.parse(await text(answer)).request_id, answer.headers['request-id']);
      (await post('text=1')).resume();
    }
  }],
  ['an error event inside a stream is relayed', 'its bytes', async () => {
    const got = await text(await post('error-after=5'));
    assert.match(got, /event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_/);
  }],
  ['a stream that breaks off is not ended in good order', 'the connection is broken', async () => {
    await assert.rejects(post('text=50 cut=1500').then(text));
  }],
  ['GET /v1/models?limit=1000 answers within three seconds, without a redirect, with ids that name claude', 'the list', async () => {
    const started = Date.now();
    const answer = await ask('GET', '/v1/models?limit=1000', { authorization: `Bearer ${key}`, 'x-api-key': key, 'anthropic-version': '2023-06-01' });
    const { data } = JSON.parse(await text(answer));
    assert.ok(Date.now() - started < 3000);
    assert.equal(answer.statusCode, 200);
    assert.ok(data.length > 0 && data.every(({ id, display_name: name }) => id.includes('claude') && name));
  }],
];

for (const [required, how, run] of rows) test(`${required} (${how})`, run);
