/* domainkit._fast: what domainkit/_speedups/slots.py and domainkit/conversion/limits.py do in Python, in less time. */
#include "fast.h"

static int
add_types(PyObject *module)
{
    PyType_Spec *specs[] = {&dumper_spec, &maker_spec, &writer_spec};
    for (size_t place = 0; place < Py_ARRAY_LENGTH(specs); place++) {
        PyObject *type = PyType_FromModuleAndSpec(module, specs[place], NULL);
        int added = type == NULL ? -1 : PyModule_AddType(module, (PyTypeObject *)type);
        Py_XDECREF(type);
        if (added < 0) {
            return -1;
        }
    }
    return 0;
}

static PyMethodDef methods[] = {
    {"scanned", scanned, METH_O, "Return how deep the brackets of some JSON go, and the bytes of its longest string."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, add_types},
#ifdef Py_mod_multiple_interpreters
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#ifdef Py_mod_gil
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "domainkit._fast",
    .m_size = 0,
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__fast(void)
{
    return PyModuleDef_Init(&definition);
}
