/**
 * A part of the program that is loaded when it is first asked for. Every call gives the same promise; one that failed is
 * tried again by the next call.
 */
export function later<T>(load: () => Promise<T>): () => Promise<T> {
  let loading: Promise<T> | null = null;
  return () => {
    loading ??= load().catch((error: unknown) => {
      loading = null;
      throw error;
    });
    return loading;
  };
}
