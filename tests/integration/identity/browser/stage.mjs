// Who plays in these scripts: instances that remember what they hear, people in browsers, and the operator.
import { once } from 'node:events';
import { createServer, request } from 'node:http';

import { given, launch, patience, WebSocketServer } from '../../../browser/chromium.mjs';

// The ways to reach the platform: hosts of this machine, where cookies have neither prefix nor Secure, and hosts below a
// domain, as the world has them.
export const ways = {
  http: { name: 'http://*.localhost', scheme: 'http', suffix: `localhost:${given.httpPort}`, domain: 'localhost', prefix: '' },
  https: { name: 'https://*.matrix.test', scheme: 'https', suffix: `matrix.test:${given.tlsPort}`, domain: 'matrix.test', prefix: '__Host-' },
};
for (const way of Object.values(ways)) {
  way.origin = (label) => `${way.scheme}://${label}.${way.suffix}`;
  way.url = (label, path) => way.origin(label) + path;
  way.socket = (label, path) => way.url(label, path).replace(/^http/, 'ws');
}

// What an operator asks through the admin socket; the answer's JSON.
export async function admin(method, path, body) {
  const asked = request({ socketPath: given.adminSocket, method, path, headers: { 'content-type': 'application/json' } });
  asked.end(body && JSON.stringify(body));
  const [answer] = await once(asked, 'response');
  let text = '';
  for await (const piece of answer) text += piece;
  if (answer.statusCode >= 300) throw new Error(`${method} ${path}: ${answer.statusCode} ${text}`);
  return JSON.parse(text);
}

// An instance of the platform's: a page for every path, but for those that `pages` has, and WebSockets that say who
// opened them and then give everything back.
export class Instance {
  heard = [];
  pages = {};

  static async start(handle) {
    const instance = new Instance();
    const server = createServer((asked, answer) => instance.#serve(handle, asked, answer));
    new WebSocketServer({ server }).on('connection', (socket, asked) => {
      instance.#remember(asked, '');
      socket.on('error', () => {});
      socket.on('message', (data) => socket.send(String(data)));
      socket.send(`for ${asked.headers['x-matrix-user']}`);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    server.unref();
    const { port } = server.address();
    await admin('PUT', `/fixed-instances/${handle}?shell=${port}&gateway=${port}`);
    return instance;
  }

  #remember({ method, url, headers }, body) {
    if (headers['user-agent'] !== 'matrixos-readiness' && url !== '/favicon.ico') this.heard.push({ method, url, headers, body });
  }
  async #serve(handle, asked, answer) {
    let body = '';
    for await (const piece of asked) body += piece;
    this.#remember(asked, body);
    const [path] = asked.url.split('?');
    const page = this.pages[path] ?? { body: `<!doctype html><title>${handle}</title><h1>This is ${handle}</h1>` };
    answer.writeHead(200, { 'content-type': 'text/html', 'cache-control': 'no-store', ...page.headers });
    answer.end(page.body);
  }
}

// Somebody's browser: cookies of its own.
export async function newPerson(browser) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  context.setDefaultTimeout(patience);
  return context;
}

// Opens the page, signs in where the provider asks, and agrees to everything.
export async function signIn(page, name, url) {
  await page.goto(url);
  await page.locator('input[name=login]').fill(name);
  await page.locator('input[name=password]').fill('any');
  await page.getByRole('button', { name: 'Sign-in' }).click();
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.waitForURL((at) => !at.href.startsWith(given.issuer));
  if (page.url().includes('/auth/callback')) throw new Error(`${name} is not signed in: ${await page.textContent('main')}`);
}

// A person who is signed in, at `url`.
export async function signedIn(browser, name, url) {
  const context = await newPerson(browser);
  const page = await context.newPage();
  await signIn(page, name, url);
  return { context, page };
}

// What a page's script gets: the status, or the error's text.
export const fetched = (page, url, options) =>
  page.evaluate(([to, how]) => fetch(to, how).then((answer) => answer.status, String), [url, options]);

// A WebSocket of the page's, kept in its window under that name: what is said first, or "refused".
export const openSocket = (page, url, name = 'socket') =>
  page.evaluate(([to, as]) => new Promise((resolve) => {
    const socket = new WebSocket(to);
    window[as] = socket;
    socket.onmessage = ({ data }) => resolve(data);
    socket.onclose = () => resolve('refused');
  }), [url, name]);

export const ask = (page, text, name = 'socket') =>
  page.evaluate(([what, as]) => new Promise((resolve) => {
    window[as].onmessage = ({ data }) => resolve(data);
    window[as].onclose = () => resolve('closed');
    window[as].send(what);
  }), [text, name]);

export const isOpen = (page, name = 'socket') => page.evaluate((as) => window[as].readyState === WebSocket.OPEN, name);

// Runs the cases in each way, with a browser and instances of their own.
export async function play(cases) {
  const browser = await launch();
  try {
    for (const way of Object.values(ways)) await cases({ browser, way, alice: await Instance.start('alice'), bob: await Instance.start('bob') });
  } finally {
    await browser.close();
  }
}
