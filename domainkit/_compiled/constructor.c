/* Constructor(exact, slot, rule, function): an __init__ that sets one slot, where it is given one value, just of the
 * class `exact`, that the rule is true for. Whatever else it is given, it calls `function`, which does it all. */
#include "fast.h"

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyTypeObject *exact;
    PyObject *slot;
    PyObject *rule;
    PyObject *function;
} Constructor;

/* 1 where the value follows the rule; 0 where it does not, or the rule can't tell: the function says why. */
static int
follows(PyObject *rule, PyObject *value)
{
    if (rule == Py_None) {
        return 1;
    }
    PyObject *answer = PyObject_CallOneArg(rule, value);
    int truth = answer == NULL ? -1 : PyObject_IsTrue(answer);
    Py_XDECREF(answer);
    return truth < 0 && forgive() ? 0 : truth;
}

static PyObject *
constructor_call(PyObject *callable, PyObject *const *arguments, size_t nargsf, PyObject *keywords)
{
    Constructor *self = (Constructor *)callable;
    if (PyVectorcall_NARGS(nargsf) == 2 && keywords == NULL && Py_IS_TYPE(arguments[1], self->exact)) {
        if (set_slot(self->slot, arguments[0], arguments[1]) < 0) {
            return NULL;
        }
        int followed = follows(self->rule, arguments[1]);
        if (followed != 0) {
            return followed < 0 ? NULL : Py_NewRef(Py_None);
        }
    }
    return PyObject_Vectorcall(self->function, arguments, nargsf, keywords);
}

static PyObject *
constructor_new(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(keywords))
{
    PyTypeObject *exact;
    PyObject *slot, *rule, *function;
    if (!PyArg_ParseTuple(arguments, "O!OOO:Constructor", &PyType_Type, &exact, &slot, &rule, &function) ||
        !is_slot(slot)) {
        return NULL;
    }
    Constructor *self = (Constructor *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->vectorcall = constructor_call;
    self->exact = (PyTypeObject *)Py_NewRef((PyObject *)exact);
    self->slot = Py_NewRef(slot);
    self->rule = Py_NewRef(rule);
    self->function = Py_NewRef(function);
    return (PyObject *)self;
}

static int
constructor_traverse(PyObject *object, visitproc visit, void *arg)
{
    Constructor *self = (Constructor *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->exact);
    Py_VISIT(self->slot);
    Py_VISIT(self->rule);
    Py_VISIT(self->function);
    return 0;
}

static int
constructor_clear(PyObject *object)
{
    Constructor *self = (Constructor *)object;
    Py_CLEAR(self->exact);
    Py_CLEAR(self->slot);
    Py_CLEAR(self->rule);
    Py_CLEAR(self->function);
    return 0;
}

static void
constructor_dealloc(PyObject *object)
{
    dealloc(object, constructor_clear);
}

static PyObject *
constructor_bound(PyObject *self, PyObject *instance, PyObject *Py_UNUSED(owner))
{
    return instance == NULL ? Py_NewRef(self) : PyMethod_New(self, instance);
}

static PyObject *
constructor_repr(PyObject *self)
{
    return PyObject_Repr(((Constructor *)self)->function);
}

/* What `inspect`, `typing` and `help` ask of a function. */
static PyObject *
of_function(PyObject *self, void *name)
{
    return PyObject_GetAttrString(((Constructor *)self)->function, name);
}

static PyMemberDef constructor_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Constructor, vectorcall), READONLY, NULL},
    {"__wrapped__", T_OBJECT_EX, offsetof(Constructor, function), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef constructor_getset[] = {
    {"__name__", of_function, NULL, NULL, "__name__"},
    {"__qualname__", of_function, NULL, NULL, "__qualname__"},
    {"__module__", of_function, NULL, NULL, "__module__"},
    {"__doc__", of_function, NULL, NULL, "__doc__"},
    {"__annotations__", of_function, NULL, NULL, "__annotations__"},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot constructor_slots[] = {
    {Py_tp_new, constructor_new},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_descr_get, constructor_bound},
    {Py_tp_repr, constructor_repr},
    {Py_tp_members, constructor_members},
    {Py_tp_getset, constructor_getset},
    {Py_tp_traverse, constructor_traverse},
    {Py_tp_clear, constructor_clear},
    {Py_tp_dealloc, constructor_dealloc},
    {0, NULL},
};

PyType_Spec constructor_spec = {
    .name = "domainkit._fast.Constructor",
    .basicsize = sizeof(Constructor),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = constructor_slots,
};
