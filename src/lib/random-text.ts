/**
 * Text of so many letters, each drawn evenly from the alphabet (at most 256 letters of one UTF-16 unit) by the source of
 * random bytes. Bytes past the last whole multiple of the alphabet are thrown away, as they would favour its first letters.
 */
export function randomText(
  length: number,
  alphabet: string,
  randomBytes: (size: number) => Uint8Array,
): string {
  if (alphabet.length === 0 || alphabet.length > 256) throw new RangeError("a strange alphabet");
  const even = 256 - (256 % alphabet.length);
  let text = "";
  while (text.length < length) {
    for (const byte of randomBytes(length - text.length + 16)) {
      if (byte < even && text.length < length) text += alphabet.charAt(byte % alphabet.length);
    }
  }
  return text;
}
