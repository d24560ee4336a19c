// Opens a page, with JavaScript or without, and prints what it shows once the instance has it.
import { given, launch, patience } from '../../browser/chromium.mjs';

const browser = await launch();
const page = await browser.newPage({ javaScriptEnabled: given.javaScript });
await page.goto(given.url);
await page.getByText(' for alice.localhost').waitFor({ timeout: patience });
console.log(await page.textContent('body'));
await browser.close();
