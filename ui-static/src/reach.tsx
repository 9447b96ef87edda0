// How the selected node reaches another: named here, or clicked with Shift in the graph.
import { useEffect, useState } from 'preact/hooks';
import { type Reach, type ReachName, type Summary, getReach } from './api';
import * as format from './format';
import { reachTo, show } from './state';

const encryption = (encrypted: boolean | null): string => (encrypted === null ? '' : encrypted ? 'encrypted' : 'not encrypted');

function End({ of }: { of: ReachName }) {
  return (
    <td>
      <button type="button" class="link" onClick={() => show({ topology: of.topology, node: of.id })}>
        {of.label}
      </button>
    </td>
  );
}

function Answer({ answer }: { answer: Reach }) {
  return (
    <>
      <p class="note">{answer.summary}</p>
      {answer.connections.length > 0 && (
        <table>
          <thead>
            <tr>
              <th scope="col">From</th>
              <th scope="col">To</th>
              <th scope="col">Over</th>
              <th scope="col" class="number">
                Sent
              </th>
              <th scope="col" class="number">
                Received
              </th>
            </tr>
          </thead>
          <tbody>
            {answer.connections.map((item) => (
              <tr key={`${item.client.id} ${item.server.id} ${item.port}`}>
                <End of={item.client} />
                <End of={item.server} />
                <td title={encryption(item.encrypted)}>
                  {item.port}, {item.carrier}
                  {item.encrypted ? ' 🔒' : ''}
                </td>
                <td class="number">{format.rate(item.sent)}</td>
                <td class="number">{format.rate(item.received)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {answer.connections_left_out > 0 && <p class="note">{answer.connections_left_out} more</p>}
    </>
  );
}

export function ReachSection({ node }: { node: Summary }) {
  const [name, setName] = useState('');
  const [answer, setAnswer] = useState<Reach | null>(null);
  const [error, setError] = useState('');
  const to = reachTo.value;

  useEffect(() => {
    setAnswer(null);
    setError('');
    setName(to?.label ?? '');
    if (!to) return undefined;
    let current = true;
    getReach(node.id, to.id).then(
      (found) => current && setAnswer(found),
      (failure: unknown) => current && setError(failure instanceof Error ? failure.message : String(failure)),
    );
    return () => {
      current = false;
    };
  }, [node.id, to]);

  const ask = (event: Event): void => {
    event.preventDefault();
    const wanted = name.trim();
    reachTo.value = wanted ? { id: wanted, label: wanted } : null;
  };
  return (
    <section class="reach">
      <h3>Reach</h3>
      <form onSubmit={ask}>
        <input
          type="text"
          aria-label={`How does ${node.label} reach`}
          placeholder="A name or an address, or Shift and click"
          value={name}
          onInput={(event) => setName(event.currentTarget.value)}
        />
        <button type="submit" class="control">
          How?
        </button>
      </form>
      <div aria-live="polite">
        {error && <p class="note">{error}</p>}
        {answer && <Answer answer={answer} />}
      </div>
    </section>
  );
}
