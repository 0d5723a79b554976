/* domainkit._fast: one type that reads and sets slots of objects; domainkit/_speedups/slots.py shows its uses.
 *
 * Maker(cls, slots): called with one value per slot, it returns an object of the class; no constructor runs.
 *
 * Maker(cls, (slot,), exact, rule, function) is a constructor: called with an object and a value of exactly the class
 * `exact` that meets `rule`, it sets the slot; with any other arguments it calls `function`, the complete constructor.
 *
 * Maker(cls, slots, classes, rules, function, value): called with an object of exactly `cls` whose slots have values
 * of exactly `classes`, it returns `function(*values)`. If a rule is not None, the value is a value object: the value
 * in its slot `value` is taken, if it meets the rule or the rule is True. A Maker's arguments are checked when made. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <structmember.h>

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyTypeObject *cls;
    PyObject *slots;
    PyObject *exact, *rule, *function, *value; /* NULL if not given */
    PyObject *no_arguments;
} Maker;

#define MAX_FIELDS 32
#define GET(slot, object) Py_TYPE(slot)->tp_descr_get(slot, object, (PyObject *)Py_TYPE(object))
#define SET(slot, object, value) Py_TYPE(slot)->tp_descr_set(slot, object, value)
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
        if (SET(PyTuple_GET_ITEM(self->slots, place), made, values[place]) < 0) {
            Py_CLEAR(made);
        }
    }
    return made;
}

/* 1 if the value meets the rule; 0 if it does not, or the rule raises: the function in Python reports the reason. */
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
        PyObject *slot = PyTuple_GET_ITEM(self->slots, 0);
        int followed = SET(slot, arguments[0], arguments[1]) < 0 ? -1 : follows(self->rule, arguments[1]);
        if (followed != 0) {
            return followed < 0 ? NULL : Py_NewRef(Py_None);
        }
    }
    return PyObject_Vectorcall(self->function, arguments, nargsf, keywords);
}

static PyObject *
take(PyObject *callable, PyObject *const *arguments, size_t nargsf, PyObject *keywords)
{
    Maker *self = (Maker *)callable;
    PyObject *values[MAX_FIELDS];
    Py_ssize_t count = PyTuple_GET_SIZE(self->slots), taken = 0;
    int fits = PyVectorcall_NARGS(nargsf) == 1 && keywords == NULL && Py_IS_TYPE(arguments[0], self->cls);
    while (fits && taken < count) {
        PyObject *exact = PyTuple_GET_ITEM(self->exact, taken), *rule = PyTuple_GET_ITEM(self->rule, taken);
        PyObject *slot = PyTuple_GET_ITEM(self->slots, taken), *value = GET(slot, arguments[0]);
        fits = value != NULL && Py_IS_TYPE(value, (PyTypeObject *)exact);
        if (fits && rule != Py_None) {
            Py_SETREF(value, GET(self->value, value));
            fits = value != NULL && (rule == Py_True || follows(rule, value) > 0);
        }
        values[taken++] = value;
    }
    PyObject *made = fits ? PyObject_Vectorcall(self->function, values, count, NULL) : NULL;
    if (!fits && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_TypeError, "an object for the slower function");
    }
    while (taken > 0) {
        Py_XDECREF(values[--taken]);
    }
    return made;
}

/* 1 if all of these are slots of the class; 0 with a TypeError if one is not. */
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

static int
can_take(Py_ssize_t count, PyObject *classes, PyObject *rules, PyObject *function, PyObject *value)
{
    int sound = count <= MAX_FIELDS && PyTuple_GET_SIZE(classes) == count && rules != NULL && PyTuple_Check(rules) &&
                PyTuple_GET_SIZE(rules) == count && function && value && Py_IS_TYPE(value, &PyMemberDescr_Type);
    while (sound && count > 0) {
        sound = PyType_Check(PyTuple_GET_ITEM(classes, --count));
    }
    return sound;
}

static PyObject *
maker_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    PyTypeObject *cls;
    PyObject *slots, *exact = NULL, *rule = NULL, *function = NULL, *value = NULL;
    char *names[] = {"", "", "", "", "", "", NULL};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!O!|OOOO:Maker", names, &PyType_Type, &cls, &PyTuple_Type,
                                     &slots, &exact, &rule, &function, &value) ||
        !are_slots(cls, slots)) {
        return NULL;
    }
    vectorcallfunc call = exact == NULL ? make : PyTuple_Check(exact) ? take : construct;
    if (call == make        ? cls->tp_new != PyBaseObject_Type.tp_new
        : call == construct ? !PyType_Check(exact) || PyTuple_GET_SIZE(slots) != 1 || function == NULL
                            : !can_take(PyTuple_GET_SIZE(slots), exact, rule, function, value)) {
        PyErr_Format(PyExc_TypeError, call == make        ? "%s: expected a class without a __new__ of its own"
                                      : call == construct ? "%s: expected one slot, a class, a rule and a function"
                                                          : "%s: expected a class and a rule for each slot",
                     cls->tp_name);
        return NULL;
    }
    Maker *self = (Maker *)type->tp_alloc(type, 0);
    if (self == NULL || (self->no_arguments = PyTuple_New(0)) == NULL) {
        Py_XDECREF((PyObject *)self);
        return NULL;
    }
    self->vectorcall = call;
    self->cls = (PyTypeObject *)Py_NewRef((PyObject *)cls);
    self->slots = Py_NewRef(slots);
    self->exact = Py_XNewRef(exact);
    self->rule = Py_XNewRef(rule);
    self->function = Py_XNewRef(function);
    self->value = Py_XNewRef(value);
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
    Py_VISIT(self->value);
    return 0;
}

/* There is no Py_tp_clear, as for tuples: a Maker refers only to objects that are older than itself and never changes,
 * so that every cycle has another object to clear, and no call ever finds it half empty. */
static void
maker_dealloc(PyObject *object)
{
    Maker *self = (Maker *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    Py_XDECREF(self->cls);
    Py_XDECREF(self->slots);
    Py_XDECREF(self->exact);
    Py_XDECREF(self->rule);
    Py_XDECREF(self->function);
    Py_XDECREF(self->value);
    Py_XDECREF(self->no_arguments);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyObject *
maker_bound(PyObject *self, PyObject *instance, PyObject *Py_UNUSED(owner))
{
    return instance == NULL ? Py_NewRef(self) : PyMethod_New(self, instance);
}

/* The attributes that `inspect`, `typing`, `help` and `print` read of a constructor: those of the function. */
static PyObject *
of_function(PyObject *object, void *name)
{
    PyObject *function = ((Maker *)object)->function;
    return PyObject_GetAttrString(function == NULL ? Py_None : function, name);
}

/* For copies, and for libraries that pickle classes by value; the process that unpickles may have no compiled part. */
static PyObject *
maker_reduce(PyObject *object, PyObject *Py_UNUSED(nothing))
{
    Maker *self = (Maker *)object;
    if (self->value != NULL) {
        return PyErr_Format(PyExc_TypeError, "%s: this Maker is not copied", self->cls->tp_name);
    }
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
