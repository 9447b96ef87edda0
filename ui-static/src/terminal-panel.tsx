// A terminal or a log at the bottom of the page, over a pipe. What draws it is loaded when first needed.
import { useEffect, useRef, useState } from 'preact/hooks';
import { openPipe, perform } from './api';
import { isOwnWindow, keepSession, openWindow, takeText } from './own-window';
import { type Session, beginSession, dark, session as current } from './state';

const SCROLLBACK = 10000;
const THEMES = {
  dark: { background: '#0d1117', foreground: '#e6edf3', cursor: '#2dd4bf', selectionBackground: '#2a3442' },
  light: { background: '#ffffff', foreground: '#17212b', cursor: '#0f766e', selectionBackground: '#d8e0e8' },
};

type State = 'opening' | 'open' | 'ended';
const STATES: Record<State, string> = { opening: 'Opening…', open: 'Connected', ended: 'Ended' };

/**
 * The document, but for style elements: xterm fills some, which the content-security policy forbids. Their text
 * becomes a constructed style sheet, which it allows.
 */
function documentWithSheets(): Document {
  const makeStyle = (): HTMLElement => {
    const element = document.createElement('span'); // Even an empty style element is a violation.
    element.hidden = true;
    const sheet = new CSSStyleSheet();
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
    Object.defineProperty(element, 'textContent', { set: (text: string) => sheet.replaceSync(text) });
    element.remove = () => {
      document.adoptedStyleSheets = document.adoptedStyleSheets.filter((other) => other !== sheet);
      Element.prototype.remove.call(element);
    };
    return element;
  };
  return new Proxy(document, {
    get(target, key) {
      if (key === 'createElement') return (name: string) => (name === 'style' ? makeStyle() : document.createElement(name));
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
    },
  });
}

interface Running {
  stop: () => void;
  /** What is on the screen and above it, in lines. */
  text: () => string;
}

/** Shows the session in `box` until it is stopped. */
function run(box: HTMLElement, session: Session, onState: (state: State) => void): Running {
  const socket = openPipe(session.pipe);
  let dispose = (): void => undefined;
  let isOver = false;
  let text = (): string => '';
  const early: Uint8Array[] = [];
  let write = (data: Uint8Array): void => void early.push(data);
  socket.onmessage = (event: MessageEvent<ArrayBuffer>) => write(new Uint8Array(event.data));
  socket.onopen = () => onState('open');
  socket.onclose = () => onState('ended');

  const draw = async (): Promise<void> => {
    const [{ Terminal }, { FitAddon }] = await Promise.all([
      import('@xterm/xterm'),
      import('@xterm/addon-fit'),
      import('@xterm/xterm/css/xterm.css'),
    ]);
    if (isOver) return;
    const terminal = new Terminal({
      convertEol: !session.rawTty,
      cursorBlink: session.rawTty && !matchMedia('(prefers-reduced-motion: reduce)').matches,
      documentOverride: documentWithSheets(),
      fontFamily: 'ui-monospace, monospace',
      fontSize: 13,
      screenReaderMode: true,
      scrollback: SCROLLBACK,
      theme: dark.peek() ? THEMES.dark : THEMES.light,
    });
    const fit = new FitAddon();
    terminal.loadAddon(fit);
    terminal.open(box);
    const encoder = new TextEncoder();
    terminal.onData((text) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(encoder.encode(text));
    });
    terminal.onResize(({ cols, rows }) => {
      const { resize, pipe } = session;
      // A size that does not arrive is put right by the next one.
      if (resize) perform(resize, { pipeID: pipe, width: String(cols), height: String(rows) }).catch(() => undefined);
    });
    const watch = new ResizeObserver(() => fit.fit());
    watch.observe(box);
    text = () => {
      const { active } = terminal.buffer;
      const lines = Array.from({ length: active.length }, (_, at) => active.getLine(at)?.translateToString(true) ?? '');
      return lines.join('\r\n').trimEnd();
    };
    const before = takeText();
    if (before) terminal.write(before + (session.rawTty ? ' ' : '\r\n'));
    write = (data) => terminal.write(data);
    for (const data of early) write(data);
    terminal.focus();
    dispose = () => {
      watch.disconnect();
      terminal.dispose();
    };
  };
  draw().catch(() => onState('ended'));
  return {
    text: () => text(),
    stop: () => {
      isOver = true;
      socket.onclose = null;
      socket.close();
      dispose();
    },
  };
}

export function TerminalPanel({ session }: { session: Session }) {
  const box = useRef<HTMLDivElement>(null);
  const running = useRef<Running | null>(null);
  const hasMoved = useRef(false);
  const [state, setState] = useState<State>('opening');
  const [error, setError] = useState('');
  const openAgain = async (): Promise<void> => {
    setError('');
    setState('opening');
    try {
      beginSession(await perform(session.control), session.control, session.title);
    } catch (failure) {
      setState('ended');
      setError(failure instanceof Error ? failure.message : String(failure));
    }
  };
  useEffect(() => {
    if (!box.current) return undefined;
    if (isOwnWindow) keepSession(session);
    const mine = run(box.current, session, (found) => {
      // Its end is that the other window has it.
      if (found === 'ended' && hasMoved.current) current.value = null;
      else setState(found);
    });
    running.current = mine;
    return mine.stop;
  }, [session]);
  return (
    <section class="pipe" aria-label={session.title}>
      <header>
        <h2>{session.title}</h2>
        <span role="status" class={`pipe-state ${state}`}>
          {error || STATES[state]}
        </span>
        {state === 'ended' && (
          <button type="button" class="quiet" onClick={() => void openAgain()}>
            Open again
          </button>
        )}
        <span class="grow" />
        {!isOwnWindow && state === 'open' && (
          <button
            type="button"
            class="icon"
            aria-label="Open in a window of its own"
            title="Open in a window of its own"
            onClick={() => {
              hasMoved.current = openWindow(session, running.current?.text() ?? '');
              if (!hasMoved.current) setError('The browser does not let a window be opened');
            }}
          >
            ↗
          </button>
        )}
        <button
          type="button"
          class="icon"
          aria-label="Close terminal"
          onClick={() => {
            current.value = null;
            if (isOwnWindow) close();
          }}
        >
          ✕
        </button>
      </header>
      <div ref={box} class="pipe-box" />
    </section>
  );
}
