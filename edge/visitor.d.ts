export function device(agent: string, isMobile?: boolean): string;
export function minuteOfWeek(zone?: string): number;
