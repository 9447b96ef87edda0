// What can be done to the selected node: buttons, with a question before what cannot be undone.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Control, Details, Role } from './api';
import { perform } from './api';
import { beginSession, show, visitor } from './state';

const RANK: Record<Role, number> = { viewer: 0, operator: 1, admin: 2 };
const ERROR_MS = 10000;

export function Controls({ node }: { node: Details }) {
  const [pending, setPending] = useState('');
  const [error, setError] = useState('');
  const [asked, setAsked] = useState<Control | null>(null);
  const dialog = useRef<HTMLDialogElement>(null);
  const mine = visitor.value?.role ?? 'viewer';
  const list = [...(node.controls ?? [])].filter((control) => RANK[mine] >= RANK[control.role]).sort((a, b) => a.rank - b.rank);

  useEffect(() => {
    if (!error) return undefined;
    const timer = setTimeout(() => setError(''), ERROR_MS);
    return () => clearTimeout(timer);
  }, [error]);
  useEffect(() => {
    if (asked) dialog.current?.showModal();
    else dialog.current?.close();
  }, [asked]);

  const run = async (control: Control): Promise<void> => {
    setAsked(null);
    setError('');
    setPending(control.id);
    try {
      const result = await perform(control);
      beginSession(result, control, `${control.human}: ${node.label}`);
      if (result.removedNode) show({ node: null });
    } catch (failure) {
      setError(failure instanceof Error ? failure.message : String(failure));
    }
    setPending('');
  };

  if (list.length === 0) return null;
  return (
    <div class="controls">
      <div role="group" aria-label="Controls">
        {list.map((control) => (
          <button
            type="button"
            key={control.id}
            class={control.confirmation ? 'control careful' : 'control'}
            disabled={pending !== ''}
            aria-busy={pending === control.id}
            onClick={() => (control.confirmation ? setAsked(control) : void run(control))}
          >
            {control.human}
          </button>
        ))}
      </div>
      {error && (
        <p class="warning" role="alert">
          {error}
        </p>
      )}
      <dialog ref={dialog} onClose={() => setAsked(null)} aria-labelledby="confirm-title">
        <h2 id="confirm-title">
          {asked?.human} {node.label}
        </h2>
        <p>{asked?.confirmation}</p>
        <div class="choices">
          <button type="button" autofocus onClick={() => setAsked(null)}>
            Cancel
          </button>
          <button type="button" class="careful" onClick={() => asked && void run(asked)}>
            {asked?.human}
          </button>
        </div>
      </dialog>
    </div>
  );
}
