// What the scripts share. The environment says where they ask and what for:
//   LLM_URL, LLM_KEY   the gateway, or the upstream itself, and a credential for it
//   LLM_CONTROL        the upstream llm-upstream (tests/fixtures), past the gateway
//   LLM_GATEWAY        set where there is a gateway between
import { createHash } from 'node:crypto';

export const base = process.env.LLM_URL;
export const key = process.env.LLM_KEY;
export const throughGateway = Boolean(process.env.LLM_GATEWAY);
export const model = 'claude-haiku-5-5';

// A request whose answer is what the words describe.
export const asking = (words, more = {}) => ({
  model,
  max_tokens: 1000,
  messages: [{ role: 'user', content: `scenario: ${words}` }],
  ...more,
});

// A request as the upstream got it.
export async function received(requestId) {
  const answer = await fetch(`${process.env.LLM_CONTROL}/control/requests/${requestId}`);
  if (answer.status !== 200) throw new Error(`the upstream does not know ${requestId}`);
  const { headers, ...rest } = await answer.json();
  return { ...rest, headers: Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value])), all: headers };
}

let names = 0;
// For scenarios that count.
export const newName = () => `${process.pid}-${++names}`;

export const digest = (text) => createHash('sha256').update(text).digest('hex');
