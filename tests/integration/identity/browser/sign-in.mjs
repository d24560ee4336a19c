// Signing in, whose instances open then, and signing out.
import assert from 'node:assert/strict';
import test from 'node:test';

import { eventually, given } from '../../../browser/chromium.mjs';
import { ask, fetched, isOpen, newPerson, openSocket, play, signedIn, signIn } from './stage.mjs';

await play(async ({ browser, way, alice, bob }) => {
  await test(`${way.name}: whoever signs in comes to the page that was asked for, and the instance hears who it is`, async () => {
    const context = await newPerson(browser);
    const page = await context.newPage();
    const deep = way.url('alice', '/notes/7?q=a%20b&x=/y');
    await signIn(page, 'ada', deep);
    assert.equal(page.url(), deep);
    assert.equal(await page.title(), 'alice');
    const [{ url, headers }] = alice.heard;
    assert.equal(url, '/notes/7?q=a%20b&x=/y');
    assert.equal(headers['x-matrix-user'], 'ada');
    assert.equal(headers['x-matrix-email'], 'ada@ok.com');
    assert.equal(headers['x-matrix-role'], 'owner');
    assert.equal(headers.cookie, undefined);
    assert.doesNotMatch(JSON.stringify(alice.heard), /code=|matrixos/);
    // Another tab: the fragment, which no server sees, comes along.
    const tab = await context.newPage();
    await context.clearCookies({ name: `${way.prefix}matrixos-app` });
    await tab.goto(`${deep}#part`);
    assert.equal(tab.url(), `${deep}#part`);
    const names = (await context.cookies()).map(({ name }) => name).filter((name) => name.includes('matrixos'));
    assert.ok(names.length > 1 && names.every((name) => name.startsWith(`${way.prefix}matrixos`)), String(names));
    await context.close();
  });

  await test(`${way.name}: pages of one's own instance use it, WebSockets too`, async () => {
    const { context, page } = await signedIn(browser, 'ada', way.url('alice', '/'));
    alice.heard.length = 0;
    assert.equal(await fetched(page, '/data', { method: 'POST', body: 'x' }), 200);
    assert.equal(await openSocket(page, way.socket('alice', '/ws')), 'for ada');
    assert.equal(await ask(page, 'hello'), 'hello');
    assert.deepEqual(alice.heard.map(({ method, url }) => `${method} ${url}`), ['POST /data', 'GET /ws']);
    assert.ok(alice.heard.every(({ headers }) => headers['x-matrix-role'] === 'owner'));
    await context.close();
  });

  await test(`${way.name}: another's instance does not open, and never hears of it`, async () => {
    const { context, page } = await signedIn(browser, 'ada', way.url('alice', '/'));
    bob.heard.length = 0;
    const answer = await page.goto(way.url('bob', '/notes'));
    assert.equal(answer.status(), 403);
    assert.match(await page.textContent('main'), /not yours/);
    await page.goto(way.url('alice', '/'));
    assert.equal(await openSocket(page, way.socket('bob', '/ws')), 'refused');
    assert.equal(await fetched(page, way.url('bob', '/'), { mode: 'no-cors', credentials: 'include' }), 0);
    const stranger = await newPerson(browser);
    const tab = await stranger.newPage();
    await tab.goto(way.url('bob', '/notes'));
    assert.ok(tab.url().startsWith(given.issuer), tab.url());
    assert.deepEqual(bob.heard, []);
    await stranger.close();
    await context.close();
  });

  await test(`${way.name}: an instance with a service worker of its own leads to signing in, too`, async () => {
    alice.pages['/sw.js'] = {
      headers: { 'content-type': 'text/javascript' },
      body: `addEventListener('install', () => skipWaiting());
        addEventListener('activate', (event) => event.waitUntil(clients.claim()));
        addEventListener('fetch', (event) => event.respondWith(fetch(event.request)));`,
    };
    const { context, page } = await signedIn(browser, 'ada', way.url('alice', '/'));
    await page.evaluate(() => navigator.serviceWorker.register('/sw.js').then(() => navigator.serviceWorker.ready));
    await eventually(() => page.evaluate(() => navigator.serviceWorker.controller !== null), 'the worker is in control');
    await context.clearCookies({ name: `${way.prefix}matrixos-app` });
    await page.goto(way.url('alice', '/deep?x=1'));
    assert.equal(page.url(), way.url('alice', '/deep?x=1'));
    assert.equal(await page.title(), 'alice');
    // From a page of the platform's, as from any other.
    await page.goto(way.url('console', '/auth'));
    await page.getByRole('link', { name: 'alice' }).click();
    await page.getByText('This is alice').waitFor();
    await context.close();
  });

  await test(`${way.name}: sharing opens an instance to somebody, and its end shuts what is open`, async () => {
    const ada = await signedIn(browser, 'ada', way.url('console', '/auth/login?return=/auth/me'));
    const carol = await signedIn(browser, 'carol', way.url('console', '/auth/login?return=/auth'));
    const shares = (method, path, body) => ada.page.evaluate(
      ([how, where, what]) => fetch(`/api/containers/alice/shares${where}`, { method: how, body: what, headers: { 'x-matrixos': '1' } })
        .then(async (answer) => ({ status: answer.status, ...await answer.json() })), [method, path, body && JSON.stringify(body)]);
    for (const whom of [{ user: 'carol' }, { email: 'Carol@ok.com', role: 'manage' }]) {
      assert.equal((await carol.page.goto(way.url('alice', '/'))).status(), 403);
      const share = await shares('POST', '', whom);
      assert.equal(share.status, 201);
      assert.equal((await carol.page.goto(way.url('alice', '/'))).status(), 200);
      assert.equal(alice.heard.at(-1).headers['x-matrix-role'], 'shared');
      assert.equal(await openSocket(carol.page, way.socket('alice', '/ws')), 'for carol');
      assert.equal((await shares('DELETE', `/${share.id}`)).status, 200);
      assert.equal(await fetched(carol.page, '/data'), 403);
      assert.equal(await openSocket(carol.page, way.socket('alice', '/ws'), 'second'), 'refused');
      await eventually(async () => !(await isOpen(carol.page)), 'the WebSocket of who was shared with ends');
    }
    await ada.context.close();
    await carol.context.close();
  });

  await test(`${way.name}: signing out in one tab ends the others, and no other browser's`, async () => {
    const { context, page } = await signedIn(browser, 'ada', way.url('alice', '/'));
    const other = await signedIn(browser, 'ada', way.url('alice', '/'));
    for (const tab of [page, other.page]) assert.equal(await openSocket(tab, way.socket('alice', '/ws')), 'for ada');
    const panel = await context.newPage();
    await panel.goto(way.url('console', '/auth'));
    await panel.getByRole('button', { name: 'Sign out' }).click();
    await panel.getByText('You are not signed in').waitFor();
    assert.equal(await fetched(page, '/data'), 401);
    assert.equal(await openSocket(page, way.socket('alice', '/ws'), 'second'), 'refused');
    await eventually(async () => !(await isOpen(page)), 'the WebSocket of who signed out ends');
    assert.equal(await ask(other.page, 'still here'), 'still here');
    assert.equal(await fetched(other.page, '/data'), 200);
    // The provider's own session is its own; without it nobody comes back.
    await context.clearCookies({ domain: '127.0.0.1' });
    await page.reload();
    assert.ok(page.url().startsWith(given.issuer), page.url());
    await other.context.close();
    await context.close();
  });
});
