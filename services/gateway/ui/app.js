/* The plain page: log in, search, list and read articles over the public API. Views are built from DOM nodes only; the one
   piece of HTML that is inserted is what the gateway rendered from Markdown (raw HTML off) and search snippets (escaped there). */

const texts = {
  ja: {
    skip: '本文へ移動', search: '検索', logout: 'ログアウト', login: 'ログイン', name: 'ユーザー名', password: 'パスワード',
    all: 'すべて', type: '種別', status: '状態', tag: 'タグ', more: 'さらに表示', none: '見つかりませんでした。',
    found: (n, ms) => `${n} 件 (${ms.toFixed(1)} ms)`, latest: '最近更新された記事', back: '一覧へ戻る',
    updated: '更新', version: '版', owner: '担当', failed: '処理できませんでした。', language: 'English',
    attachments: '添付ファイル', relations: '関連する記事', refused: 'ユーザー名またはパスワードが正しくありません。',
    incident: 'インシデント', problem: '問題', change: '変更', release: 'リリース', request: '要求', other: 'その他',
    draft: '下書き', in_review: 'レビュー中', published: '公開', archived: '保管',
  },
  en: {
    skip: 'Skip to content', search: 'Search', logout: 'Log out', login: 'Log in', name: 'User name', password: 'Password',
    all: 'All', type: 'Type', status: 'Status', tag: 'Tag', more: 'Show more', none: 'Nothing was found.',
    found: (n, ms) => `${n} found (${ms.toFixed(1)} ms)`, latest: 'Recently updated articles', back: 'Back to the list',
    updated: 'Updated', version: 'Version', owner: 'Owner', failed: 'That did not work.', language: '日本語',
    attachments: 'Attachments', relations: 'Related articles', refused: 'The user name or the password is wrong.',
    incident: 'Incident', problem: 'Problem', change: 'Change', release: 'Release', request: 'Request', other: 'Other',
    draft: 'Draft', in_review: 'In review', published: 'Published', archived: 'Archived',
  },
};

let language = localStorage.getItem('language') ?? (navigator.language.startsWith('ja') ? 'ja' : 'en');
const t = (key, ...values) => {
  const text = texts[language][key] ?? key;
  return typeof text === 'function' ? text(...values) : text;
};
const $ = (selector) => document.querySelector(selector);
const main = $('#main');

const present = (children) => children.flat().filter((child) => child !== undefined && child !== null);

/** Make an element: node('a', { href }, 'text', child); children that are null or undefined are left out. */
function node(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? '' : value);
  }
  element.append(...present(children));
  return element;
}

class Problem extends Error {
  constructor(status, body) {
    super([body.title ?? t('failed'), body.detail].filter(Boolean).join(' '));
    this.status = status;
    this.kind = (body.type ?? '').replace('urn:mirai:problem:', '');
  }
}

/** Of the session; what changes something must carry it. Another tab may have logged in anew: then it is asked for again. */
let csrfToken = '';

async function send(path, options) {
  const response = await fetch(`/api/v1/${path}`, {
    ...options,
    headers: {
      'Accept-Language': language,
      ...(options.body ? { 'Content-Type': 'application/json' } : {}),
      ...(options.method ? { 'X-CSRF-Token': csrfToken } : {}),
    },
  });
  if (response.status === 204) return null;
  const type = response.headers.get('Content-Type') ?? '';
  const body = type.includes('json') ? await response.json() : await response.text();
  if (!response.ok) throw new Problem(response.status, body);
  if (path === 'session') csrfToken = body.csrf_token;
  return body;
}

async function api(path, options = {}) {
  try {
    return await send(path, options);
  } catch (error) {
    if (error.kind !== 'csrf-token') throw error;
    await send('session', {});
    return send(path, options);
  }
}

/** Put a view in place. `title`: what the window is about, beside the name of the page. */
function show(title, ...children) {
  document.title = title ? `${title} - Mirai Knowledge` : 'Mirai Knowledge';
  main.replaceChildren(...present(children));
  main.focus({ preventScroll: true });
  scrollTo(0, 0);
}

function translate() {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll('[data-text]')) element.textContent = t(element.dataset.text);
  for (const element of document.querySelectorAll('[data-label]')) {
    element.setAttribute('aria-label', t(element.dataset.label));
    element.placeholder = t(element.dataset.label);
  }
  $('#language').textContent = t('language');
}

function signedIn(user) {
  $('#search').hidden = !user;
  $('#logout').hidden = !user;
  $('#who').textContent = user ? user.display_name || user.name : '';
}

function loginView(problem, given = '') {
  signedIn(null);
  const user = node('input', { name: 'name', autocomplete: 'username', required: true, value: given });
  const secret = node('input', { name: 'password', type: 'password', autocomplete: 'current-password', required: true });
  show(t('login'), node('form', {
    class: 'login',
    onsubmit: async (event) => {
      event.preventDefault();
      try {
        signedIn((await api('session', { method: 'POST', body: JSON.stringify({ name: user.value, password: secret.value }) })).user);
        route();
      } catch (error) {
        loginView(error.status === 401 ? t('refused') : error.message, user.value);
      }
    },
  },
  node('h1', {}, t('login')),
  problem && node('p', { class: 'problem', role: 'alert' }, problem),
  node('label', {}, t('name'), user),
  node('label', {}, t('password'), secret),
  node('button', {}, t('login'))));
  (given ? secret : user).focus();
}

const day = (time) => new Date(time).toLocaleDateString(language);

function meta(article) {
  return node('p', { class: 'meta' },
    node('span', {}, t(article.type)), node('span', {}, t(article.status)),
    node('span', {}, `${t('updated')} ${day(article.updated_at)}`),
    (article.tags ?? []).map((tag) => node('a', { class: 'tag', href: link({ tag }) }, tag)));
}

/** Address of a search: link({ q, type, status, tag }). */
function link(query) {
  return `#/?${new URLSearchParams(Object.entries(query).filter(([, value]) => value))}`;
}

function facet(name, counts, query) {
  return [node('h2', {}, t(name)), node('ul', { 'aria-label': t(name) },
    node('li', {}, node('a', { href: link({ ...query, [name]: '' }), 'aria-current': !query[name] && 'true' }, t('all'))),
    counts.map(({ key, count }) => node('li', {},
      node('a', { href: link({ ...query, [name]: key }), 'aria-current': query[name] === key && 'true' }, `${name === 'tag' ? key : t(key)} (${count})`))))];
}

function hitNode(hit) {
  const snippet = node('p');
  snippet.innerHTML = hit.snippet;
  return node('li', {}, node('h3', {}, node('a', { href: `#/articles/${hit.id}` }, hit.title)), snippet, meta(hit));
}

async function listView(parameters) {
  const query = Object.fromEntries(['q', 'type', 'status', 'tag'].map((name) => [name, parameters.get(name) ?? '']));
  $('#search').elements.q.value = query.q;
  const path = (cursor) => {
    const wanted = Object.entries({ ...query, cursor, limit: 20 }).filter(([, value]) => value);
    return `search?${new URLSearchParams(wanted)}`;
  };
  const first = await api(path());
  const list = node('ol', { class: 'hits' }, first.hits.map(hitNode));
  let next = first.next_cursor;
  const more = node('button', {
    class: 'more', type: 'button', hidden: !next,
    onclick: async () => {
      const page = await api(path(next));
      list.append(...page.hits.map(hitNode));
      next = page.next_cursor;
      more.hidden = !next;
    },
  }, t('more'));
  show(query.q, node('div', { class: 'columns' },
    node('aside', {}, facet('type', first.facets.type, query), facet('status', first.facets.status, query), facet('tag', first.facets.tag, query)),
    node('section', {},
      node('h1', {}, query.q || t('latest')),
      node('p', { class: 'meta' }, first.total ? t('found', first.total, first.took_ms) : t('none')),
      list, more)));
}

async function articleView(id) {
  const [article, html, attachments, relations] = await Promise.all([
    api(`articles/${id}`), api(`articles/${id}/render`), api(`articles/${id}/attachments`), api(`articles/${id}/relations`)]);
  const text = node('article', { class: 'text', lang: article.language });
  text.innerHTML = html;
  const others = relations.items.map((relation) => (relation.from_id === article.id
    ? node('li', {}, node('a', { href: `#/articles/${relation.to_id}` }, relation.to_title ?? ''))
    : node('li', {}, node('a', { href: `#/articles/${relation.from_id}` }, relation.from_title ?? ''))));
  show(article.title,
    node('p', {}, node('a', { href: '#/' }, t('back'))),
    node('h1', {}, article.title), meta(article),
    node('p', { class: 'meta' }, `${t('version')} ${article.version}`, article.owner ? ` ${t('owner')} ${article.owner}` : ''),
    text,
    attachments.items.length ? node('section', {}, node('h2', {}, t('attachments')), node('ul', {}, attachments.items.map((file) =>
      node('li', {}, node('a', { href: `/api/v1/articles/${id}/attachments/${file.id}/content` }, file.name))))) : null,
    others.length ? node('section', {}, node('h2', {}, t('relations')), node('ul', {}, others)) : null);
}

async function route() {
  const [path, query] = location.hash.replace(/^#/, '').split('?');
  const article = /^\/articles\/(\d+)$/.exec(path);
  try {
    if (article) await articleView(article[1]);
    else await listView(new URLSearchParams(query));
  } catch (error) {
    if (error.status === 401) loginView();
    else show('', node('p', { class: 'problem', role: 'alert' }, error.message), node('p', {}, node('a', { href: '#/' }, t('back'))));
  }
}

async function start() {
  translate();
  try {
    signedIn(await api('session'));
    route();
  } catch (error) {
    loginView(error.status === 401 ? undefined : error.message);
  }
}

$('#search').addEventListener('submit', (event) => {
  event.preventDefault();
  location.hash = link({ q: new FormData(event.target).get('q') }).slice(1);
});

let typing;
$('#search').elements.q.addEventListener('input', (event) => {
  clearTimeout(typing);
  typing = setTimeout(async () => {
    const q = event.target.value.trim();
    const items = q ? (await api(`suggest?${new URLSearchParams({ q })}`).catch(() => ({ items: [] }))).items : [];
    $('#suggestions').replaceChildren(...items.map((item) => node('option', { value: item.text })));
  }, 120);
});

$('#language').addEventListener('click', () => {
  language = language === 'ja' ? 'en' : 'ja';
  localStorage.setItem('language', language);
  start();
});
$('#logout').addEventListener('click', async () => {
  await api('session', { method: 'DELETE' }).catch(() => null);
  loginView();
});
addEventListener('hashchange', route);
start();
