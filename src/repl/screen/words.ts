/** what stands before a line that is typed */
export const PROMPT = '(skbtrace) '
