/* Filler(slots): called with an object and a value for each slot, it sets them: what a constructor begins with. */
#include "fast.h"

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *slots;
} Filler;

static PyObject *
filler_call(PyObject *callable, PyObject *const *arguments, size_t nargsf, PyObject *keywords)
{
    Filler *self = (Filler *)callable;
    if (!is_given(1 + PyTuple_GET_SIZE(self->slots), nargsf, keywords, Py_TYPE(callable)) ||
        set_slots(self->slots, arguments[0], arguments + 1) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
filler_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    PyObject *slots;
    char *names[] = {"", NULL};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!:Filler", names, &PyTuple_Type, &slots)) {
        return NULL;
    }
    for (Py_ssize_t place = 0; place < PyTuple_GET_SIZE(slots); place++) {
        if (!is_slot(PyTuple_GET_ITEM(slots, place))) {
            return NULL;
        }
    }
    Filler *self = (Filler *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->vectorcall = filler_call;
    self->slots = Py_NewRef(slots);
    return (PyObject *)self;
}

static int
filler_traverse(PyObject *object, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(((Filler *)object)->slots);
    return 0;
}

static void
filler_release(PyObject *object)
{
    Py_DECREF(((Filler *)object)->slots);
}

static void
filler_dealloc(PyObject *object)
{
    dealloc(object, filler_release);
}

static PyMemberDef filler_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Filler, vectorcall), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot filler_slots[] = {
    {Py_tp_doc, "Sets the slots of an object."},
    {Py_tp_new, filler_new},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_members, filler_members},
    {Py_tp_traverse, filler_traverse},
    {Py_tp_dealloc, filler_dealloc},
    {0, NULL},
};

PyType_Spec filler_spec = {
    .name = "domainkit._fast.Filler",
    .basicsize = sizeof(Filler),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = filler_slots,
};
