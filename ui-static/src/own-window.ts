// A terminal in a window of its own. What it is of is handed over in the session's storage, of which a window that is
// opened has a copy: an address would let any link choose what is opened. The pipe goes to whoever opened it last.
import type { Session } from './state';

const ADDRESS = '#/terminal';
const SESSION = 'weft-terminal';
const TEXT = 'weft-terminal-text';

/** Opens the window, which takes the pipe along; false if the browser does not let it. `text` is what is on the screen. */
export function openWindow(session: Session, text: string): boolean {
  keepSession(session);
  sessionStorage.setItem(TEXT, text);
  const opened = window.open(location.pathname + ADDRESS, '_blank', 'popup,width=900,height=560');
  sessionStorage.removeItem(SESSION);
  sessionStorage.removeItem(TEXT);
  return opened !== null;
}

/** What was on the screen that the pipe comes from; once. */
export function takeText(): string {
  const text = sessionStorage.getItem(TEXT) ?? '';
  sessionStorage.removeItem(TEXT);
  return text;
}

export const isOwnWindow = location.hash === ADDRESS;

/** What this window is of: null if nothing was handed over. */
export const sessionHere = (): Session | null => {
  const text = isOwnWindow ? sessionStorage.getItem(SESSION) : null;
  return text ? (JSON.parse(text) as Session) : null;
};

/** For this window, should it be loaded again. */
export const keepSession = (session: Session): void => sessionStorage.setItem(SESSION, JSON.stringify(session));
