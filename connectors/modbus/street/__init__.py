"""The simulated street: meters that behave as in the field, behind Modbus listeners, without hardware."""
