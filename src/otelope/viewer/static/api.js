// Questions to the JSON API of `otelope up`.

export class Failure extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

// The answer to a question, and its status; those of `expected` that are none of success too.
export async function ask(path, signal, expected = []) {
  let response;
  try {
    response = await fetch(path, { signal });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Failure("otelope up does not answer. Is it still running?", 0);
  }
  const answer = await response.json().catch(() => null);
  if (!response.ok && !expected.includes(response.status)) {
    throw new Failure(answer?.error ?? `otelope up answers ${response.status}.`, response.status);
  }
  return { status: response.status, answer };
}

let told;

// What the pages have to know of where they are: `jaeger`, where its pages begin, or null.
export function settings() {
  told ??= ask("viewer.json").then(({ answer }) => answer, (error) => {
    told = undefined; // asked again with the next page
    throw error;
  });
  return told;
}
