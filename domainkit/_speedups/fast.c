/* domainkit._fast: the one type that makes objects by their slots, as domainkit/_speedups/slots.py does in Python.
 *
 * Maker(cls, slots): called with a value for each slot, it returns an object of the class; no constructor runs.
 *
 * Maker(cls, (slot,), exact, rule, function) is a constructor: called with an object and a value just of the class
 * `exact` that `rule` is true for, it sets the slot; whatever else it is given, it calls `function`, which does it all.
 *
 * Neither knows where in an object a slot lies: the member descriptors of the class set it, and check whose it is. What
 * a Maker is given is checked when it is made, so that a call need not look again. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <structmember.h>

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyTypeObject *cls;
    PyObject *slots;
    PyObject *exact, *rule, *function; /* NULL where objects are made */
    PyObject *no_arguments;
} Maker;

static int
set_slot(PyObject *slots, Py_ssize_t place, PyObject *object, PyObject *value)
{
    PyObject *slot = PyTuple_GET_ITEM(slots, place);
    return Py_TYPE(slot)->tp_descr_set(slot, object, value);
}

static PyObject *
make(PyObject *callable, PyObject *const *values, size_t nargsf, PyObject *keywords)
{
    Maker *self = (Maker *)callable;
    Py_ssize_t count = PyTuple_GET_SIZE(self->slots);
    if (PyVectorcall_NARGS(nargsf) != count || (keywords != NULL && PyTuple_GET_SIZE(keywords) > 0)) {
        PyErr_Format(PyExc_TypeError, "%s: expected %zd arguments, by position", self->cls->tp_name, count);
        return NULL;
    }
    PyObject *made = PyBaseObject_Type.tp_new(self->cls, self->no_arguments, NULL);
    for (Py_ssize_t place = 0; made != NULL && place < count; place++) {
        if (set_slot(self->slots, place, made, values[place]) < 0) {
            Py_CLEAR(made);
        }
    }
    return made;
}

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
    if (truth < 0 && PyErr_ExceptionMatches(PyExc_Exception)) { /* and not a KeyboardInterrupt */
        PyErr_Clear();
        return 0;
    }
    return truth;
}

static PyObject *
construct(PyObject *callable, PyObject *const *arguments, size_t nargsf, PyObject *keywords)
{
    Maker *self = (Maker *)callable;
    if (PyVectorcall_NARGS(nargsf) == 2 && keywords == NULL && Py_IS_TYPE(arguments[1], (PyTypeObject *)self->exact)) {
        int followed = set_slot(self->slots, 0, arguments[0], arguments[1]) < 0 ? -1 : follows(self->rule, arguments[1]);
        if (followed != 0) {
            return followed < 0 ? NULL : Py_NewRef(Py_None);
        }
    }
    return PyObject_Vectorcall(self->function, arguments, nargsf, keywords);
}

/* Whether all of these are slots of the class; TypeError where one is not. */
static int
are_slots(PyTypeObject *cls, PyObject *slots)
{
    for (Py_ssize_t place = 0; place < PyTuple_GET_SIZE(slots); place++) {
        PyObject *slot = PyTuple_GET_ITEM(slots, place);
        if (!Py_IS_TYPE(slot, &PyMemberDescr_Type) || !PyType_IsSubtype(cls, PyDescr_TYPE(slot))) {
            PyErr_Format(PyExc_TypeError, "%s: expected a slot of this class, got %s", cls->tp_name, Py_TYPE(slot)->tp_name);
            return 0;
        }
    }
    return 1;
}

static PyObject *
maker_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    PyTypeObject *cls;
    PyObject *slots, *exact = NULL, *rule = NULL, *function = NULL;
    char *names[] = {"", "", "", "", "", NULL};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!O!|O!OO:Maker", names, &PyType_Type, &cls, &PyTuple_Type,
                                     &slots, &PyType_Type, &exact, &rule, &function) ||
        !are_slots(cls, slots)) {
        return NULL;
    }
    if (exact == NULL ? cls->tp_new != PyBaseObject_Type.tp_new : PyTuple_GET_SIZE(slots) != 1 || function == NULL) {
        PyErr_Format(PyExc_TypeError, exact == NULL ? "%s: expected a class without a __new__ of its own"
                                                    : "%s: expected one slot, a class, a rule and a function",
                     cls->tp_name);
        return NULL;
    }
    PyObject *no_arguments = PyTuple_New(0);
    Maker *self = no_arguments == NULL ? NULL : (Maker *)type->tp_alloc(type, 0);
    if (self == NULL) {
        Py_XDECREF(no_arguments);
        return NULL;
    }
    self->vectorcall = exact == NULL ? make : construct;
    self->cls = (PyTypeObject *)Py_NewRef((PyObject *)cls);
    self->slots = Py_NewRef(slots);
    self->exact = Py_XNewRef(exact);
    self->rule = Py_XNewRef(rule);
    self->function = Py_XNewRef(function);
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
    Py_VISIT(self->exact);
    Py_VISIT(self->rule);
    Py_VISIT(self->function);
    return 0;
}

/* There is no Py_tp_clear, for the reason that tuples have none: a Maker holds only what was there before it, for as
 * long as it lives, so that in every cycle there is something else to clear; and no call ever finds it half empty. */
static void
maker_dealloc(PyObject *object)
{
    Maker *self = (Maker *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    Py_DECREF(self->cls);
    Py_DECREF(self->slots);
    Py_XDECREF(self->exact);
    Py_XDECREF(self->rule);
    Py_XDECREF(self->function);
    Py_DECREF(self->no_arguments);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyObject *
maker_bound(PyObject *self, PyObject *instance, PyObject *Py_UNUSED(owner))
{
    return instance == NULL ? Py_NewRef(self) : PyMethod_New(self, instance);
}

/* What `inspect`, `typing`, `help` and `print` ask of a constructor: they find what they find of the function. */
static PyObject *
of_function(PyObject *object, void *name)
{
    PyObject *function = ((Maker *)object)->function;
    return PyObject_GetAttrString(function == NULL ? Py_None : function, name);
}

static PyObject *
maker_repr(PyObject *object)
{
    Maker *self = (Maker *)object;
    return self->function == NULL ? PyUnicode_FromFormat("Maker(%R)", self->cls) : PyObject_Repr(self->function);
}

/* How it is copied, and pickled by those who pickle classes by value; where it is read back, there may be no C. */
static PyObject *
maker_reduce(PyObject *object, PyObject *Py_UNUSED(nothing))
{
    Maker *self = (Maker *)object;
    PyObject *module = PyImport_ImportModule("domainkit._speedups.slots");
    PyObject *again = module == NULL ? NULL : PyObject_GetAttrString(module, self->function ? "initializer" : "maker_of");
    Py_XDECREF(module);
    if (again == NULL) {
        return NULL;
    }
    return self->function == NULL ? Py_BuildValue("N(OO)", again, self->cls, self->slots)
                                  : Py_BuildValue("N(OOOOO)", again, self->cls, PyTuple_GET_ITEM(self->slots, 0),
                                                  self->exact, self->rule, self->function);
}

static PyMethodDef maker_methods[] = {
    {"__reduce__", maker_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef maker_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Maker, vectorcall), READONLY, NULL},
    {"__wrapped__", T_OBJECT_EX, offsetof(Maker, function), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef maker_getset[] = {
    {"__name__", of_function, NULL, NULL, "__name__"},
    {"__qualname__", of_function, NULL, NULL, "__qualname__"},
    {"__annotations__", of_function, NULL, NULL, "__annotations__"},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot maker_slots[] = {
    {Py_tp_new, maker_new},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_descr_get, maker_bound},
    {Py_tp_repr, maker_repr},
    {Py_tp_methods, maker_methods},
    {Py_tp_members, maker_members},
    {Py_tp_getset, maker_getset},
    {Py_tp_traverse, maker_traverse},
    {Py_tp_dealloc, maker_dealloc},
    {0, NULL},
};

static PyType_Spec maker_spec = {
    .name = "domainkit._fast.Maker",
    .basicsize = sizeof(Maker),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = maker_slots,
};

static int
add_maker(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &maker_spec, NULL);
    int added = type == NULL ? -1 : PyModule_AddType(module, (PyTypeObject *)type);
    Py_XDECREF(type);
    return added;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, add_maker},
#ifdef Py_mod_multiple_interpreters
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#ifdef Py_mod_gil
    {Py_mod_gil, Py_MOD_GIL_NOT_USED}, /* a Maker never changes once it is made */
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "domainkit._fast",
    .m_size = 0,
    .m_slots = module_slots,
};

PyMODINIT_FUNC
PyInit__fast(void)
{
    return PyModuleDef_Init(&definition);
}
