// `node visits.mjs ADDRESS`: asks the shop how often it was visited.
const reply = await fetch(`http://${process.argv[2]}/visits`, {
  signal: AbortSignal.timeout(5_000),
});
process.stdout.write(`visits: ${(await reply.text()).trim()}\n`);
