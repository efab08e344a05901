#!/bin/sh
# Debian's chromium without the two pages that it loads into every new window for suggestions under its address bar: half
# of what a window costs, and no test types an address. They are added to the features that Playwright switches off;
# chromium heeds the last --disable-features only.
for each; do
    case $each in --disable-features=*) each=$each,WebUIOmniboxPopup,WebUIOmniboxAimPopup ;; esac
    shift
    set -- "$@" "$each"
done
exec chromium "$@"
