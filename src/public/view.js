// Everything that touches the document. Text from others only ever becomes a text node.
const $ = (id) => document.getElementById(id);
const STATES = {
  idle: 'Not connected',
  connecting: 'Connecting',
  connected: 'Connected',
  waiting: 'Reconnecting',
  closed: 'Not connected',
  failed: 'Disconnected',
};
const MAX_LINES = 500;
let node = { name: '', engine: '', cluster: [] };

function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

function addLine(line) {
  const log = $('log');
  const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  $('pending').before(line);
  while (log.children.length > MAX_LINES) log.firstChild.remove();
  if (isAtEnd) log.scrollTop = log.scrollHeight;
}

export function addNote(text) {
  addLine(element('p', 'note', text));
}

/** Where messages may be missing that nobody can bring any more. */
export function addGap() {
  addLine(element('p', 'note gap', 'Some messages may be missing here'));
}

export function addMessage({ from, text, at, node: via, isMine }) {
  const time = new Date(at).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  const by = element('span', 'by', element('strong', '', isMine ? 'You' : from), ` ${time} · via ${via}`);
  addLine(element('div', isMine ? 'message mine' : 'message', by, element('span', 'body', text)));
  if (!isMine) showTyping(from, 0);
}

/** What the server has not acknowledged yet, grey and last. */
export function showPending(texts) {
  const lines = texts.map((text) => {
    const by = element('span', 'by', element('strong', '', 'You'), ' waiting to be sent');
    return element('div', 'message mine pending', by, element('span', 'body', text));
  });
  $('pending').replaceChildren(...lines);
  if (lines.length > 0) $('log').scrollTop = $('log').scrollHeight;
}

export function showPeople(users, count, me, onWave) {
  $('count').textContent = count;
  const byName = (a, b) => (b.id === me) - (a.id === me) || a.id.localeCompare(b.id);
  $('people').replaceChildren(...[...users].sort(byName).map((user) => personOf(user, me, onWave)));
}

function personOf({ id, devices }, me, onWave) {
  const avatar = element('span', 'avatar', [...id][0].toUpperCase());
  avatar.setAttribute('aria-hidden', 'true');
  avatar.style.setProperty('--hue', hueOf(id));
  const person = element('li', 'person', avatar, element('span', 'name', id));
  if (devices.length > 1) person.append(element('small', '', `${devices.length} tabs`));
  if (id === me) {
    person.append(element('small', '', 'you'));
    return person;
  }
  const button = element('button', 'quiet', 'Wave');
  button.type = 'button';
  button.setAttribute('aria-label', `Wave at ${id}`);
  button.addEventListener('click', () => onWave(id));
  person.append(button);
  return person;
}

/** Spread over the circle, so that names that differ in one letter differ in colour. */
function hueOf(id) {
  return [...id].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0) * 137) % 360, 7);
}

const typing = new Map();
export function showTyping(from, forMs) {
  clearTimeout(typing.get(from));
  typing.delete(from);
  if (forMs > 0) typing.set(from, setTimeout(showTyping, forMs, from, 0));
  const names = [...typing.keys()];
  $('typing').textContent = names.length === 0 ? '' : `${names.join(', ')} ${names.length > 1 ? 'are' : 'is'} typing…`;
}

export function showState(status, state) {
  $('state').dataset.state = status;
  $('state-text').textContent = state.isOffline && status !== 'connected' ? 'Offline' : STATES[status];
  countDown(status === 'waiting' ? Date.now() + state.retryInMs : 0);
  const isAway = status === 'waiting' || (status === 'connecting' && state.attempt > 0);
  if (status === 'failed') showBanner(`The server ended the connection: ${state.error.message}`);
  else showBanner(isAway ? 'The connection is lost. It comes back by itself.' : '');
}

let countdown;
function countDown(until) {
  clearTimeout(countdown);
  const seconds = Math.ceil((until - Date.now()) / 1_000);
  $('countdown').textContent = seconds > 0 ? `next try in ${seconds} s` : '';
  if (seconds > 0) countdown = setTimeout(countDown, 250, until);
}

export function showOffline(isOffline) {
  $('offline').textContent = isOffline ? 'Go online' : 'Go offline';
  $('offline').setAttribute('aria-pressed', isOffline);
}

function showBanner(text) {
  const others = text === '' ? [] : node.cluster.filter((url) => url !== location.origin);
  const links = others.flatMap((url) => [' ', linkTo(url)]);
  $('banner').replaceChildren(text, ...(links.length > 0 ? [' Or go on at', ...links] : []));
  $('banner').hidden = text === '';
}

/** With the name and the room, so that nobody has to sign in again. */
function linkTo(url) {
  const link = element('a', '', new URL(url).host);
  link.href = `${url}/${location.hash}`;
  link.addEventListener('click', () => (link.href = `${url}/${location.hash}`));
  if (url === location.origin) link.setAttribute('aria-current', 'page');
  return link;
}

export function showNode(info) {
  node = info;
  $('node').textContent = `${info.name} · ${info.engine}`;
  $('cluster').hidden = info.cluster.length === 0;
  $('nodes').replaceChildren(...info.cluster.map((url) => element('li', '', linkTo(url))));
}

export function showChat(chatId) {
  $('log').replaceChildren($('pending'));
  showPending([]);
  $('room-title').textContent = chatId;
  $('signin').hidden = true;
  $('chat').hidden = false;
  $('text').focus();
}

export function showSignIn(problem) {
  $('chat').hidden = true;
  $('signin').hidden = false;
  $('signin-problem').textContent = problem;
  $('name').focus();
}

export function showSendProblem(problem) {
  $('send-problem').textContent = problem;
}

export function onSignIn(act) {
  $('signin-form').addEventListener('submit', (event) => {
    event.preventDefault();
    act($('name').value.trim(), $('room').value.trim());
  });
}

export function onSend(act) {
  $('composer').addEventListener('submit', (event) => {
    event.preventDefault();
    const text = $('text').value.trim();
    $('text').value = '';
    if (text !== '') act(text);
  });
}

export const onTyping = (act) => $('text').addEventListener('input', act);
export const onLeave = (act) => $('leave').addEventListener('click', act);
export const onOffline = (act) => $('offline').addEventListener('click', act);
export const onKill = (act) => $('kill').addEventListener('click', act);
