// What the survivors heard, in words. Returns whether every promise held.

export function printReport({ node, gone, survivors, newcomers, messages }) {
  console.log(`\n  ${node.name} took ${gone.length} simulated users with it.`);
  for (const seen of survivors) {
    const { announced, twice, ghosts, others } = seen;
    const span =
      announced.length === 0
        ? ''
        : `, ${Math.min(...announced).toFixed(1)} to ${Math.max(...announced).toFixed(1)} s after the kill`;
    const doubles = twice.length === 0 ? 'nobody twice' : `${twice.length} twice`;
    console.log(
      `  on ${seen.name}: ${announced.length} of ${gone.length} announced as gone${span}, ${doubles}, ${ghosts.length} ghosts left in the list`,
    );
    if (others.length > 0) console.log(`    also gone: ${others.join(', ')}`);
  }
  for (const { name, seen, of } of newcomers)
    console.log(`  a newcomer on ${name} is shown ${seen} of the ${of} simulated users who are connected`);
  const { sent, received, told, lost, doubled } = messages;
  console.log(`  messages: ${sent} sent, ${received} received on every surviving node, ${doubled} doubled`);
  console.log(`  of the missing ones: ${told} failed and their senders were told, ${lost} lost and nobody was told\n`);
  const isAnnounced = survivors.every(
    (seen) => seen.announced.length === gone.length && seen.twice.length === 0 && seen.ghosts.length === 0,
  );
  return isAnnounced && newcomers.every(({ seen, of }) => seen === of) && lost === 0 && doubled === 0;
}
