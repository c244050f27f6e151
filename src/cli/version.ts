declare const SKBTRACE_VERSION: string | undefined
export const version = typeof SKBTRACE_VERSION === 'string' ? SKBTRACE_VERSION : '0.1.0'

/** what is simulated */
export const KERNEL = '6.12.117'
