/* What the parts of domainkit._fast share. Each part is one type of callables; domainkit/_speedups/slots.py says what for.
 *
 * No part knows where in an object a slot lies: the member descriptors of the class get and set it, and check whose it
 * is. What a part is given is checked when it is made, so that a call need not look again.
 */
#ifndef DOMAINKIT_FAST_H
#define DOMAINKIT_FAST_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <structmember.h>

extern PyType_Spec dumper_spec, maker_spec, writer_spec;
extern PyObject *scanned(PyObject *module, PyObject *data);

static inline PyObject *
get_slot(PyObject *slot, PyObject *object)
{
    return Py_TYPE(slot)->tp_descr_get(slot, object, (PyObject *)Py_TYPE(object));
}

/* Whether something is a slot; TypeError where it is not. */
static inline int
is_slot(PyObject *object)
{
    if (Py_IS_TYPE(object, &PyMemberDescr_Type)) {
        return 1;
    }
    PyErr_Format(PyExc_TypeError, "expected a slot, not %R", object);
    return 0;
}

/* Whether a call gave just so many arguments, all of them by position; TypeError where it did not. */
static inline int
is_given(Py_ssize_t count, size_t nargsf, PyObject *keywords, PyTypeObject *cls)
{
    if (PyVectorcall_NARGS(nargsf) == count && (keywords == NULL || PyTuple_GET_SIZE(keywords) == 0)) {
        return 1;
    }
    PyErr_Format(PyExc_TypeError, "%s: expected %zd arguments, by position", cls->tp_name, count);
    return 0;
}

/* Clear an Exception, and return 1; return 0 where another is on its way, such as a KeyboardInterrupt. */
static inline int
forgive(void)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception)) {
        return 0;
    }
    PyErr_Clear();
    return 1;
}

/* What each part does when it dies: `release` gives up what it holds.
 *
 * That is no Py_tp_clear, for the reason that tuples have none: a part holds only what was there before it, for as long
 * as it lives, so that in every cycle there is something else to clear; and no call ever finds a part half empty. */
static inline void
dealloc(PyObject *object, void (*release)(PyObject *))
{
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    release(object);
    type->tp_free(object);
    Py_DECREF(type);
}

#endif
