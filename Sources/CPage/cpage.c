#include "cpage.h"

// Swift's compiler takes half a minute for an array of as many literals; C's embeds a file at once, and notices when it changes.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char document[] = {
#embed "page/index.html"
};

static const unsigned char style[] = {
#embed "page/style.css"
};

static const unsigned char script[] = {
#embed "page/base.js"
    ,
#embed "page/feed.js"
    ,
#embed "page/summary.js"
    ,
#embed "page/treemap.js"
    ,
#embed "page/chart.js"
    ,
#embed "page/activity.js"
    ,
#embed "page/images.js"
    ,
#embed "page/engines.js"
    ,
#embed "page/main.js"
};

cpage_part cpage_document(void) { return (cpage_part){document, sizeof document}; }
cpage_part cpage_style(void) { return (cpage_part){style, sizeof style}; }
cpage_part cpage_script(void) { return (cpage_part){script, sizeof script}; }
