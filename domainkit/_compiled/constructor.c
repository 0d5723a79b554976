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
constructor_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    PyTypeObject *exact;
    PyObject *slot, *rule, *function;
    char *names[] = {"", "", "", "", NULL};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!OOO:Constructor", names, &PyType_Type, &exact, &slot,
                                     &rule, &function) ||
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

static void
constructor_release(PyObject *object)
{
    Constructor *self = (Constructor *)object;
    Py_DECREF(self->exact);
    Py_DECREF(self->slot);
    Py_DECREF(self->rule);
    Py_DECREF(self->function);
}

static void
constructor_dealloc(PyObject *object)
{
    dealloc(object, constructor_release);
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

/* What `inspect`, `typing` and `help` ask of a function; `__module__` and `__doc__` would hide those of this type. */
static PyObject *
of_function(PyObject *self, void *name)
{
    return PyObject_GetAttrString(((Constructor *)self)->function, name);
}

/* How it is copied, and pickled by those who pickle classes by value; where it is read back, there may be no C. */
static PyObject *
constructor_reduce(PyObject *object, PyObject *Py_UNUSED(nothing))
{
    Constructor *self = (Constructor *)object;
    PyObject *module = PyImport_ImportModule("domainkit._speedups.slots");
    PyObject *init = module == NULL ? NULL : PyObject_GetAttrString(module, "compiled_init");
    Py_XDECREF(module);
    return init == NULL ? NULL : Py_BuildValue("N(OOOO)", init, self->exact, self->slot, self->rule, self->function);
}

static PyMethodDef constructor_methods[] = {
    {"__reduce__", constructor_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef constructor_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Constructor, vectorcall), READONLY, NULL},
    {"__wrapped__", T_OBJECT_EX, offsetof(Constructor, function), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef constructor_getset[] = {
    {"__name__", of_function, NULL, NULL, "__name__"},
    {"__qualname__", of_function, NULL, NULL, "__qualname__"},
    {"__annotations__", of_function, NULL, NULL, "__annotations__"},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot constructor_slots[] = {
    {Py_tp_new, constructor_new},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_descr_get, constructor_bound},
    {Py_tp_repr, constructor_repr},
    {Py_tp_methods, constructor_methods},
    {Py_tp_members, constructor_members},
    {Py_tp_getset, constructor_getset},
    {Py_tp_traverse, constructor_traverse},
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
