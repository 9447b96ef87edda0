// A long list in parts: what is shown of it, and a button for more.
import { useState } from 'preact/hooks';

/** How many are shown, and what shows as many more. `of`: what it is a list of; another begins anew. */
export function useMore(count: number, step: number, of: string): [shown: number, more: preact.JSX.Element | null] {
  const [state, setState] = useState({ of, shown: step });
  const shown = state.of === of ? state.shown : step;
  if (shown >= count) return [count, null];
  const next = Math.min(step, count - shown);
  return [
    shown,
    <p class="note" key="more">
      <button type="button" class="link" onClick={() => setState({ of, shown: shown + step })}>
        Show {next} more
      </button>{' '}
      of {count - shown}
    </p>,
  ];
}
