/* Maker(cls, slots): called with a value for each slot, it returns an object of the class; no constructor runs. */
#include "fast.h"

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyTypeObject *cls;
    PyObject *slots;
    PyObject *no_arguments;
} Maker;

static PyObject *
maker_call(PyObject *callable, PyObject *const *values, size_t nargsf, PyObject *keywords)
{
    Maker *self = (Maker *)callable;
    if (!is_given(PyTuple_GET_SIZE(self->slots), nargsf, keywords, self->cls)) {
        return NULL;
    }
    PyObject *made = PyBaseObject_Type.tp_new(self->cls, self->no_arguments, NULL);
    if (made != NULL && set_slots(self->slots, made, values) < 0) {
        Py_CLEAR(made);
    }
    return made;
}

static int
are_slots_of(PyTypeObject *cls, PyObject *slots)
{
    for (Py_ssize_t place = 0; place < PyTuple_GET_SIZE(slots); place++) {
        PyObject *slot = PyTuple_GET_ITEM(slots, place);
        if (!is_slot(slot)) {
            return 0;
        }
        if (!PyType_IsSubtype(cls, PyDescr_TYPE(slot))) {
            PyErr_Format(PyExc_TypeError, "%s: %R is not a slot of this class", cls->tp_name, slot);
            return 0;
        }
    }
    return 1;
}

static PyObject *
maker_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    PyTypeObject *cls;
    PyObject *slots;
    char *names[] = {"", "", NULL};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!O!:Maker", names, &PyType_Type, &cls, &PyTuple_Type,
                                     &slots)) {
        return NULL;
    }
    if (cls->tp_new != PyBaseObject_Type.tp_new) {
        PyErr_Format(PyExc_TypeError, "%s: its objects are made in a way of their own", cls->tp_name);
        return NULL;
    }
    if (!are_slots_of(cls, slots)) {
        return NULL;
    }
    PyObject *no_arguments = PyTuple_New(0);
    Maker *self = no_arguments == NULL ? NULL : (Maker *)type->tp_alloc(type, 0);
    if (self == NULL) {
        Py_XDECREF(no_arguments);
        return NULL;
    }
    self->vectorcall = maker_call;
    self->cls = (PyTypeObject *)Py_NewRef((PyObject *)cls);
    self->slots = Py_NewRef(slots);
    self->no_arguments = no_arguments;
    return (PyObject *)self;
}

static int
maker_traverse(PyObject *object, visitproc visit, void *arg)
{
    Maker *self = (Maker *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->cls);
    Py_VISIT(self->slots);
    return 0;
}

static void
maker_release(PyObject *object)
{
    Maker *self = (Maker *)object;
    Py_DECREF(self->cls);
    Py_DECREF(self->slots);
    Py_DECREF(self->no_arguments);
}

static void
maker_dealloc(PyObject *object)
{
    dealloc(object, maker_release);
}

static PyMemberDef maker_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Maker, vectorcall), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot maker_slots[] = {
    {Py_tp_doc, "Makes objects of a class by setting their slots."},
    {Py_tp_new, maker_new},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_members, maker_members},
    {Py_tp_traverse, maker_traverse},
    {Py_tp_dealloc, maker_dealloc},
    {0, NULL},
};

PyType_Spec maker_spec = {
    .name = "domainkit._fast.Maker",
    .basicsize = sizeof(Maker),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = maker_slots,
};
