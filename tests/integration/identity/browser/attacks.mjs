// What a tenant's page can make a browser do with a URL. Each is over when the browser has had its answer.

// Without leaving the page. Gives the text of an answer that the page may read, or of a document, else "".
export const quiet = {
  'fetch no-cors': (url) => fetch(url, { mode: 'no-cors', credentials: 'include' }).then((r) => r.text(), () => ''),
  'fetch cors': (url) => fetch(url, { credentials: 'include' }).then((r) => r.text(), () => ''),
  'fetch POST no-cors': (url) =>
    fetch(url, { method: 'POST', mode: 'no-cors', credentials: 'include', body: '{"user":"bob"}' }).then((r) => r.text(), () => ''),
  'fetch POST as JSON': (url) =>
    fetch(url, { method: 'POST', credentials: 'include', body: '{"user":"bob"}', headers: { 'content-type': 'application/json', 'x-matrixos': '1' } })
      .then((r) => r.text(), () => ''),
  'fetch DELETE': (url) => fetch(url, { method: 'DELETE', credentials: 'include' }).then((r) => r.text(), () => ''),
  'fetch without a referrer': (url) =>
    fetch(url, { method: 'POST', mode: 'no-cors', credentials: 'include', referrerPolicy: 'no-referrer', body: 'x' }).then((r) => r.text(), () => ''),
  'XMLHttpRequest': (url) => new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open('POST', url);
    request.withCredentials = true;
    request.onloadend = () => resolve(request.responseText);
    request.send('x');
  }),
  'EventSource': (url) => new Promise((resolve) => {
    const source = new EventSource(url, { withCredentials: true });
    source.onerror = () => resolve(source.close() ?? '');
    source.onmessage = ({ data }) => resolve(data);
  }),
  'WebSocket': (url) => new Promise((resolve) => {
    const socket = new WebSocket(url.replace(/^http/, 'ws'));
    socket.onmessage = ({ data }) => resolve(data);
    socket.onclose = () => resolve('');
  }),
  ...Object.fromEntries(['img', 'script', 'iframe', 'object', 'embed', 'video', 'link'].map((name) => [name, new Function('url', `
    return new Promise((resolve) => {
      const element = document.createElement('${name}');
      const done = () => {
        let text = '';
        try { text = element.contentDocument?.body?.textContent ?? ''; } catch { /* another origin's */ }
        element.remove();
        resolve(text);
      };
      for (const event of ['load', 'error', 'loadedmetadata']) element.addEventListener(event, done);
      if ('${name}' === 'link') element.rel = 'stylesheet';
      element['${{ object: 'data', link: 'href' }[name] ?? 'src'}'] = url;
      document.body.append(element);
    });`)])),
  'form POST in a frame': (url) => new Promise((resolve) => {
    document.body.insertAdjacentHTML('beforeend', '<iframe name="sink"></iframe><form method="post" enctype="text/plain" target="sink"><input name="{&quot;user&quot;:&quot;bob&quot;}"></form>');
    const [frame, form] = [document.querySelector('iframe[name=sink]'), document.querySelector('form[target=sink]')];
    frame.addEventListener('load', () => {
      let text = '';
      try { text = frame.contentDocument.body.textContent; } catch { /* another origin's */ }
      form.remove();
      frame.remove();
      resolve(text);
    });
    form.action = url;
    form.submit();
  }),
};

// In a window of its own, by what the page does with the URL; gives the new page when it has loaded.
export const popups = {
  'window.open': (url) => { window.mine = window.open(url); },
  'window.open without opener': (url) => { window.open(url, '_blank', 'noopener'); },
  'opener navigates later': (url) => {
    window.mine = window.open('about:blank');
    window.mine.location = url;
  },
  'link': (url) => { document.body.append(Object.assign(document.createElement('a'), { href: url, target: '_blank', rel: 'opener' })); document.body.lastChild.click(); },
};

export async function inPopup(page, how, url) {
  const [popup] = await Promise.all([page.context().waitForEvent('page'), page.evaluate(`(${how})(${JSON.stringify(url)})`)]);
  await popup.waitForURL((at) => at.href !== 'about:blank');
  await popup.waitForLoadState();
  return popup;
}

// A form that posts into a window of its own: a navigation that no link is.
export const postForm = (url) => {
  document.body.insertAdjacentHTML('beforeend', '<form method="post" target="_blank" enctype="text/plain"><input name="{&quot;user&quot;:&quot;bob&quot;}"></form>');
  document.body.lastChild.action = url;
  document.body.lastChild.submit();
};
