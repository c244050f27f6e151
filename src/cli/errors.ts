/** What the user asked for makes no sense: one line on standard error, exit status 2. */
export class UsageError extends Error {}
