/* Dumper(cls, make, fields, value, refused): called with an object of just that class, it calls `make` with the wire
 * values of its fields; it raises `refused` where one is not what its type says. `value` is the slot of value objects.
 *
 * A field is a tuple of its slot; the class of the value object to unwrap; the class that the value must have; what it
 * must be true for; what makes its wire value; and whether that is called with each item of a tuple, for a list. */
#include "fast.h"

enum { SLOT, WRAPPER, EXACT, CHECK, DUMP, EACH, FIELD };
#define MOST_FIELDS 32

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyTypeObject *cls;
    PyObject *make;
    PyObject *fields;
    PyObject *value;
    PyObject *refused;
} Dumper;

/* Refuse a value: it is given up, and the error set unless there is one. */
static PyObject *
refuse(Dumper *self, PyObject *value)
{
    Py_DECREF(value);
    if (!PyErr_Occurred()) {
        PyErr_SetNone(self->refused);
    }
    return NULL;
}

static PyObject *
unwrapped(Dumper *self, PyObject *wrapper, PyObject *object)
{
    if (!Py_IS_TYPE(object, (PyTypeObject *)wrapper)) {
        return refuse(self, object);
    }
    PyObject *value = get_slot(self->value, object);
    Py_DECREF(object);
    return value;
}

static PyObject *
checked(Dumper *self, PyObject *check, PyObject *value)
{
    PyObject *answer = PyObject_CallOneArg(check, value);
    int truth = answer == NULL ? -1 : PyObject_IsTrue(answer);
    Py_XDECREF(answer);
    return truth == 1 ? value : refuse(self, value);
}

static PyObject *
each_dumped(PyObject *dump, PyObject *items)
{
    Py_ssize_t count = PyTuple_GET_SIZE(items);
    PyObject *made = PyList_New(count);
    if (made == NULL) {
        return NULL;
    }
    PyObject_GC_UnTrack(made); /* nobody shall find it while it has holes */
    for (Py_ssize_t place = 0; place < count; place++) {
        PyObject *item = PyObject_CallOneArg(dump, PyTuple_GET_ITEM(items, place));
        if (item == NULL) {
            Py_DECREF(made);
            return NULL;
        }
        PyList_SET_ITEM(made, place, item);
    }
    PyObject_GC_Track(made);
    return made;
}

static PyObject *
dumped(PyObject *field, PyObject *value)
{
    PyObject *dump = PyTuple_GET_ITEM(field, DUMP);
    PyObject *made = PyTuple_GET_ITEM(field, EACH) == Py_True ? each_dumped(dump, value) : PyObject_CallOneArg(dump, value);
    Py_DECREF(value);
    return made;
}

static PyObject *
wire_value(Dumper *self, PyObject *field, PyObject *object)
{
    PyObject *wrapper = PyTuple_GET_ITEM(field, WRAPPER), *exact = PyTuple_GET_ITEM(field, EXACT);
    PyObject *check = PyTuple_GET_ITEM(field, CHECK);
    PyObject *value = get_slot(PyTuple_GET_ITEM(field, SLOT), object);
    if (value != NULL && wrapper != Py_None) {
        value = unwrapped(self, wrapper, value);
    }
    if (value != NULL && exact != Py_None && !Py_IS_TYPE(value, (PyTypeObject *)exact)) {
        value = refuse(self, value);
    }
    if (value != NULL && check != Py_None) {
        value = checked(self, check, value);
    }
    return value == NULL || PyTuple_GET_ITEM(field, DUMP) == Py_None ? value : dumped(field, value);
}

static PyObject *
dumper_call(PyObject *callable, PyObject *const *arguments, size_t nargsf, PyObject *keywords)
{
    Dumper *self = (Dumper *)callable;
    PyObject *values[MOST_FIELDS + 1], *made = NULL;
    Py_ssize_t count = PyTuple_GET_SIZE(self->fields), place = 0;
    if (!is_given(1, nargsf, keywords, self->cls)) {
        return NULL;
    }
    if (!Py_IS_TYPE(arguments[0], self->cls)) {
        PyErr_SetNone(self->refused);
        return NULL;
    }
    for (; place < count; place++) {
        values[place + 1] = wire_value(self, PyTuple_GET_ITEM(self->fields, place), arguments[0]);
        if (values[place + 1] == NULL) {
            break;
        }
    }
    if (place == count) {
        made = PyObject_Vectorcall(self->make, values + 1, (size_t)count | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    }
    while (place > 0) {
        Py_DECREF(values[place--]);
    }
    return made;
}

static int
is_class_or_none(PyObject *object)
{
    return object == Py_None || PyType_Check(object);
}

static int
is_field(PyObject *field)
{
    if (!PyTuple_Check(field) || PyTuple_GET_SIZE(field) != FIELD || !is_class_or_none(PyTuple_GET_ITEM(field, WRAPPER)) ||
        !is_class_or_none(PyTuple_GET_ITEM(field, EXACT)) || !PyBool_Check(PyTuple_GET_ITEM(field, EACH))) {
        PyErr_Format(PyExc_TypeError, "expected a slot, two classes, a check, a function and a bool, not %R", field);
        return 0;
    }
    if (PyTuple_GET_ITEM(field, EACH) == Py_True && (PyTuple_GET_ITEM(field, EXACT) != (PyObject *)&PyTuple_Type ||
                                                     PyTuple_GET_ITEM(field, DUMP) == Py_None)) {
        PyErr_Format(PyExc_TypeError, "expected the class tuple and a function where each item is dumped, not %R", field);
        return 0;
    }
    return is_slot(PyTuple_GET_ITEM(field, SLOT));
}

static int
are_fields(PyObject *fields)
{
    if (PyTuple_GET_SIZE(fields) > MOST_FIELDS) {
        PyErr_Format(PyExc_TypeError, "expected at most %d fields", MOST_FIELDS);
        return 0;
    }
    for (Py_ssize_t place = 0; place < PyTuple_GET_SIZE(fields); place++) {
        if (!is_field(PyTuple_GET_ITEM(fields, place))) {
            return 0;
        }
    }
    return 1;
}

static PyObject *
dumper_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    PyTypeObject *cls;
    PyObject *make, *fields, *value, *refused;
    char *names[] = {"", "", "", "", "", NULL};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!OO!OO:Dumper", names, &PyType_Type, &cls, &make,
                                     &PyTuple_Type, &fields, &value, &refused) ||
        !are_fields(fields) || !is_slot(value)) {
        return NULL;
    }
    if (!PyExceptionClass_Check(refused)) {
        PyErr_Format(PyExc_TypeError, "expected an exception's class, not %R", refused);
        return NULL;
    }
    Dumper *self = (Dumper *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->vectorcall = dumper_call;
    self->cls = (PyTypeObject *)Py_NewRef((PyObject *)cls);
    self->make = Py_NewRef(make);
    self->fields = Py_NewRef(fields);
    self->value = Py_NewRef(value);
    self->refused = Py_NewRef(refused);
    return (PyObject *)self;
}

static int
dumper_traverse(PyObject *object, visitproc visit, void *arg)
{
    Dumper *self = (Dumper *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->cls);
    Py_VISIT(self->make);
    Py_VISIT(self->fields);
    Py_VISIT(self->value);
    Py_VISIT(self->refused);
    return 0;
}

static void
dumper_release(PyObject *object)
{
    Dumper *self = (Dumper *)object;
    Py_DECREF(self->cls);
    Py_DECREF(self->make);
    Py_DECREF(self->fields);
    Py_DECREF(self->value);
    Py_DECREF(self->refused);
}

static void
dumper_dealloc(PyObject *object)
{
    dealloc(object, dumper_release);
}

static PyMemberDef dumper_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Dumper, vectorcall), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot dumper_slots[] = {
    {Py_tp_doc, "Makes the struct of an object."},
    {Py_tp_new, dumper_new},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_members, dumper_members},
    {Py_tp_traverse, dumper_traverse},
    {Py_tp_dealloc, dumper_dealloc},
    {0, NULL},
};

PyType_Spec dumper_spec = {
    .name = "domainkit._fast.Dumper",
    .basicsize = sizeof(Dumper),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = dumper_slots,
};
