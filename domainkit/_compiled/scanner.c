/* scanned(data): how deep the brackets of some JSON go, and how many bytes its longest string has, without parsing it. */
#include "fast.h"

typedef struct {
    Py_ssize_t open, deepest; /* brackets; a text that isn't JSON may close more than it opens */
    Py_ssize_t longest;
} Shape;

/* Go to the quote that ends a string, or to the end of the text. */
static const char *
end_of_string(const char *at, const char *end)
{
    while (at < end && *at != '"') {
        at += *at == '\\' && at + 1 < end && (at[1] == '\\' || at[1] == '"') ? 2 : 1;
    }
    return at;
}

static void
scan(const char *at, const char *end, Shape *shape)
{
    for (; at < end; at++) {
        if (*at == '"') {
            const char *start = at + 1;
            at = end_of_string(start, end);
            shape->longest = Py_MAX(shape->longest, at - start);
        }
        else if (*at == '[' || *at == '{') {
            shape->open++;
            shape->deepest = Py_MAX(shape->deepest, shape->open);
        }
        else if (*at == ']' || *at == '}') {
            shape->open--;
        }
        else if (*at == '\\' && at + 1 < end && (at[1] == '\\' || at[1] == '"')) {
            at++; /* outside of a string: no JSON */
        }
    }
}

PyObject *
scanned(PyObject *Py_UNUSED(module), PyObject *data)
{
    if (!PyBytes_Check(data)) {
        PyErr_Format(PyExc_TypeError, "expected bytes, not %R", Py_TYPE(data));
        return NULL;
    }
    Shape shape = {0, 0, 0};
    const char *start = PyBytes_AS_STRING(data), *end = start + PyBytes_GET_SIZE(data);
    Py_BEGIN_ALLOW_THREADS /* bytes don't change */
    scan(start, end, &shape);
    Py_END_ALLOW_THREADS
    return Py_BuildValue("nn", shape.deepest, shape.longest);
}
