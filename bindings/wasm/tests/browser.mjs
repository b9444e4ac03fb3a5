// Chromium as a person has it, without what it does in the background.
import { chromium } from 'playwright-core';

export const browser = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
    ],
  });

export const PAGE = new URL('../../../target/wasm/keygate-401.html', import.meta.url);
