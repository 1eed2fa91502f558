/** What every page of the console does beside being shown. Without this script all pages work; it
 * only makes some ways shorter. Texts come with the page, in its language. */

import { followBuilder, shareButtons } from "./builder";
import { chooseAll } from "./choose";
import { copyButtons } from "./copy";
import { listen } from "./fresh";
import { keys } from "./keys";
import { palette } from "./palette";
import { guardForms } from "./typed";

copyButtons();
chooseAll();
shareButtons();
followBuilder();
guardForms();
keys(palette());
listen();
