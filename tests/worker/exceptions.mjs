export function exceptions() {
  return undefined;
}
