// Choices of several values, written as the agent reads them: by commas.

/** `chosen` with one value more, or less if it was among them; '' is none, which leaves all. */
export function toggled(chosen: string, value: string): string {
  if (!value) return '';
  const list = chosen.split(',').filter(Boolean);
  return (list.includes(value) ? list.filter((other) => other !== value) : [...list, value]).sort().join(',');
}
