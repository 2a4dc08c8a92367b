#ifndef CPAGE_H
#define CPAGE_H

#include <stddef.h>

/// A part of the dashboard's page, as it is written in page/: the files are embedded by the compiler.
typedef struct {
    const unsigned char *bytes;
    size_t count;
} cpage_part;

cpage_part cpage_document(void);
cpage_part cpage_style(void);
/// All scripts, in the order in which the document names them.
cpage_part cpage_script(void);

#endif
